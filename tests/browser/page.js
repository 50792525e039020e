// A page with an unmodified Uppy in it. The test calls what is on `window`.

import Uppy from '@uppy/core'
import AwsS3 from '@uppy/aws-s3'

window.begin = (options) => {
  const uppy = new Uppy({ autoProceed: false })
  uppy.use(AwsS3, options)
  const seen = { parts: 0, bytes: 0, image: null, error: null }
  uppy.on('s3-multipart:part-uploaded', () => { seen.parts += 1 })
  uppy.on('upload-progress', (_, progress) => { seen.bytes = progress.bytesUploaded })
  uppy.on('upload-error', (_, error) => { seen.error = String(error) })
  uppy.on('upload-success', (_, response) => {
    seen.error = null
    // What S3 calls the object is made of the ids of the project, the image and the upload.
    seen.image = response.body.key.split('/')[1]
  })
  Object.assign(window, { uppy, seen })
}

window.add = async (file, meta) => {
  const data = await (await fetch(file)).blob()
  window.uppy.addFile({ name: file.split('/').pop(), type: data.type, data, meta })
}
