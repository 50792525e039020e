//! `*` and `?` in the patterns of policies.

/// Whether a text matches a pattern; case counts.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut pos) = (0, 0);
    // Where to go on when the last star should have taken one more character. One star is enough to
    // go back to: whatever an earlier one could take more of, this one can.
    let mut retry: Option<(usize, usize)> = None;
    while pos < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, pos));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[pos] => {
                at += 1;
                pos += 1;
            }
            _ => {
                let Some((star, taken)) = retry else {
                    return false;
                };
                retry = Some((star, taken + 1));
                (at, pos) = (star, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// Whether an ARN matches a pattern: a wildcard stays within its part, the last part is everything
/// after the fifth colon.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
pub fn matches_arn(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (mut patterns, mut parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches(pattern, part) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without the shortcut.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', pattern)), _) => (0..=text.len()).any(|skip| defined(pattern, &text[skip..])),
            (Some((p, pattern)), Some((t, text))) => (*p == '?' || p == t) && defined(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[abé]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), defined(&p, &t));
        }

        #[test]
        fn long_patterns_take_no_exponential_time(stars in 10_usize..200) {
            let pattern = "*a".repeat(stars) + "b";
            prop_assert!(!matches(&pattern, &"a".repeat(2000)));
        }
    }

    #[test]
    fn wildcards_stay_within_a_part_of_the_arn() {
        assert!(matches_arn("arn:aws:s3:::b/*", "arn:aws:s3:::b/x:y/z"));
        assert!(matches_arn("arn:aws:sqs:*:*:tintype-?", "arn:aws:sqs:eu-west-1:000000000000:tintype-Q"));
        assert!(!matches_arn("arn:*:tintype-Q", "arn:aws:sqs:eu-west-1:000000000000:tintype-Q"));
        assert!(!matches_arn("arn:aws:s3:::B/*", "arn:aws:s3:::b/x"));
        assert!(matches_arn("*", "arn:aws:s3:::b"));
    }
}
