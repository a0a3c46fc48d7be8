//! The manifests umcp brings along. Each is a file of `assets/apps`, loaded by a test and tried against a stub of its
//! service's shape.

macro_rules! shipped {
    ($($name:literal)*) => {
        /// Name and text, by name.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../assets/apps/", $name, ".yaml")))),*];
    };
}

shipped! {
    "arxiv"
    "crossref"
    "database"
    "discord"
    "docker"
    "fetch"
    "filesystem"
    "git"
    "github"
    "gmail"
    "google-calendar"
    "http"
    "logger"
    "memory"
    "notion"
    "paper-search"
    "reddit"
    "slack"
    "snap-happy"
    "stripe"
    "supabase"
    "tavily"
    "time"
    "weather"
    "x"
    "zenquotes"
}

/// The text of one.
pub fn find(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::file::load;

    #[test]
    fn every_manifest_is_valid_and_says_what_it_is() {
        let mut last = "";
        for (name, text) in SHIPPED {
            let loaded = load(&format!("{name}.yaml"), text).unwrap();
            assert_eq!(loaded.name.as_deref(), Some(*name));
            assert!(
                loaded.title.is_some() && loaded.description.is_some() && loaded.category.is_some(),
                "{name}"
            );
            assert!(
                loaded.server.is_some() == loaded.definition.tools.is_empty(),
                "{name}: a server or tools"
            );
            for tool in &loaded.definition.tools {
                assert!(!tool.description.starts_with("Runs the command"), "{name}.{}", tool.name);
            }
            assert!(last < *name, "{name} is out of order");
            last = name;
        }
    }
}
