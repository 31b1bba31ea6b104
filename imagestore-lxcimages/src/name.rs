use imagestore_core::{Error, ErrorKind, ImagePath, Result};

use crate::build::form;

/// What a path on a remote of this protocol asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) distribution: String,
    pub(crate) release: String,
    pub(crate) architecture: String,
    pub(crate) variant: String,
    pub(crate) build: Option<String>,
}

impl Name {
    /// The name a path stands for; this architecture is meant if it names none.
    pub(crate) fn parse(path: &ImagePath, architecture: &str) -> Result<Self> {
        let segments: Vec<&str> = path.segments().iter().map(String::as_str).collect();
        let (folder, arch, variant, build) = match segments.as_slice() {
            [folder @ .., _] if folder.len() > 4 => return Err(no_image(path)),
            [d, r] => ([d, r], None, None, None),
            [d, r, build] if form(build).is_some() => ([d, r], None, None, Some(build)),
            [d, r, arch] => ([d, r], Some(arch), None, None),
            [d, r, arch, build] if form(build).is_some() => ([d, r], Some(arch), None, Some(build)),
            [d, r, arch, variant] => ([d, r], Some(arch), Some(variant), None),
            // Behind the variant nothing but a build can follow, of whatever form.
            [d, r, arch, variant, build] => ([d, r], Some(arch), Some(variant), Some(build)),
            _ => return Err(no_image(path)),
        };
        let [distribution, release] = folder.map(|segment| (*segment).to_owned());
        Ok(Self {
            distribution,
            release,
            architecture: (*arch.unwrap_or(&architecture)).to_owned(),
            variant: (*variant.unwrap_or(&"default")).to_owned(),
            build: build.map(|build| (*build).to_owned()),
        })
    }

    /// The four columns that name an image.
    pub(crate) fn columns(&self) -> [&str; 4] {
        [
            &self.distribution,
            &self.release,
            &self.architecture,
            &self.variant,
        ]
    }
}

fn no_image(path: &ImagePath) -> Error {
    Error::new(ErrorKind::NotFound, "not the name of an image")
        .with_subject(format_args!("`{path}`"))
        .with_remedy("write it as DIST/RELEASE[/ARCH[/VARIANT]][/BUILD]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String> {
        let name = Name::parse(&text.parse()?, "arm64")?;
        Ok(format!(
            "{} @ {}",
            name.columns().join("/"),
            name.build.unwrap_or_default()
        ))
    }

    #[test]
    fn fills_in_architecture_and_variant_and_knows_builds() {
        for (text, wanted) in [
            ("ubuntu/trusty", "ubuntu/trusty/arm64/default @ "),
            ("ubuntu/trusty/amd64", "ubuntu/trusty/amd64/default @ "),
            ("ubuntu/trusty/amd64/cloud", "ubuntu/trusty/amd64/cloud @ "),
            (
                "ubuntu/trusty/20140910",
                "ubuntu/trusty/arm64/default @ 20140910",
            ),
            (
                "ubuntu/trusty/amd64/20140910",
                "ubuntu/trusty/amd64/default @ 20140910",
            ),
            (
                "ubuntu/trusty/amd64/2024-03-13",
                "ubuntu/trusty/amd64/default @ 2024-03-13",
            ),
            (
                "u/t/amd64/cloud/20150427_03:49",
                "u/t/amd64/cloud @ 20150427_03:49",
            ),
            ("u/t/amd64/cloud/v7", "u/t/amd64/cloud @ v7"),
            ("fedora/19/amd64", "fedora/19/amd64/default @ "),
        ] {
            assert_eq!(name(text).expect(text), wanted);
        }
    }

    #[test]
    fn says_what_is_no_name() {
        for text in ["", "ubuntu", "a/b/c/d/20140910/f"] {
            let error = name(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(
                error.to_string(),
                format!(
                    "not the name of an image: `{text}`; \
                     write it as DIST/RELEASE[/ARCH[/VARIANT]][/BUILD]"
                )
            );
        }
    }
}
