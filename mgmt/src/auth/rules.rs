//! The one place that says who may do what.

use super::Role;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without credentials.
    Public,
    /// These roles.
    Roles(&'static [Role]),
}

use Access::{Public, Roles};
use Role::{Administrator, Auditor, Biomed, Security, Viewer};

/// Everybody who logged in.
const ALL: Access = Roles(&[Viewer, Biomed, Security, Administrator, Auditor]);
/// Those who work with the devices.
const CARE: Access = Roles(&[Biomed, Security, Administrator]);
/// Those who answer for the network.
const NETWORK: Access = Roles(&[Security, Administrator]);
/// Those who keep the appliance.
const ADMINISTRATION: Access = Roles(&[Administrator]);
/// Those who read what others did.
const AUDIT: Access = Roles(&[Administrator, Auditor]);
/// Nobody: what an operation without a rule gets. A test keeps this from happening.
const NOBODY: Access = Roles(&[]);

/// Every operation of the API and who may call it.
pub const RULES: &[(&str, Access)] = &[
    ("read_openapi", Public),
    ("list_certificates", ADMINISTRATION),
    ("create_certificate", ADMINISTRATION),
    ("read_certificate", ADMINISTRATION),
    ("update_certificate", ADMINISTRATION),
    ("delete_certificate", ADMINISTRATION),
    ("read_login", Public),
    ("begin_oidc_login", Public),
    ("finish_oidc_login", Public),
    ("read_me", ALL),
    ("change_my_password", ALL),
    ("create_session", Public),
    ("read_session", ALL),
    ("delete_session", ALL),
    ("list_sessions", ALL),
    ("delete_other_session", ALL),
    ("read_setup", Public),
    ("create_first_administrator", Public),
    ("list_tokens", ADMINISTRATION),
    ("create_token", ADMINISTRATION),
    ("delete_token", ADMINISTRATION),
    ("list_users", AUDIT),
    ("create_user", ADMINISTRATION),
    ("read_user", AUDIT),
    ("update_user", ADMINISTRATION),
    ("delete_user", ADMINISTRATION),
    ("set_user_password", ADMINISTRATION),
    ("list_alerts", ALL),
    ("read_alert", ALL),
    ("accept_alert", CARE),
    ("list_assets", ALL),
    ("create_asset", CARE),
    ("read_asset", ALL),
    ("replace_asset", CARE),
    ("delete_asset", CARE),
    ("link_asset", CARE),
    ("unlink_asset", CARE),
    ("list_imports", CARE),
    ("create_import", CARE),
    ("read_import", CARE),
    ("list_import_rows", CARE),
    ("apply_import", CARE),
    ("list_reconciliation", ALL),
    ("list_audit", AUDIT),
    ("change_devices", CARE),
    ("export_devices", ALL),
    ("export_assets", ALL),
    ("list_groups", ALL),
    ("create_group", CARE),
    ("read_group", ALL),
    ("replace_group", CARE),
    ("delete_group", CARE),
    ("list_networks", ALL),
    ("create_network", NETWORK),
    ("read_network", ALL),
    ("replace_network", NETWORK),
    ("delete_network", NETWORK),
    ("read_context", ALL),
    ("put_context", CARE),
    ("delete_context", CARE),
    ("set_device_role", CARE),
    ("start_capture", NETWORK),
    ("read_capture", NETWORK),
    ("read_dropped", NETWORK),
    ("export_audit", AUDIT),
    ("report_audit", AUDIT),
    ("list_devices", ALL),
    ("read_device", ALL),
    ("update_device", CARE),
    ("stream_events", ALL),
    ("list_flows", ALL),
    ("export_flows", ALL),
    ("list_live_flows", ALL),
    ("list_edges", ALL),
    ("read_role_map", ALL),
    ("list_jobs", ALL),
    ("read_job", ALL),
    ("cancel_job", CARE),
    ("list_backups", ADMINISTRATION),
    ("create_backup", ADMINISTRATION),
    ("check_system", ADMINISTRATION),
    ("read_metrics", ALL),
    ("list_models", ALL),
    ("activate_model", NETWORK),
    ("set_device_mode", CARE),
    ("set_device_modes", CARE),
    ("list_policies", ALL),
    ("create_policy", NETWORK),
    ("check_policy", CARE),
    ("read_policy_state", ALL),
    ("list_policy_devices", ALL),
    ("read_policy", ALL),
    ("read_policy_document", ALL),
    ("diff_policies", ALL),
    ("apply_policy", NETWORK),
    ("confirm_policy", NETWORK),
    ("list_receivers", ADMINISTRATION),
    ("create_receiver", ADMINISTRATION),
    ("read_receiver", ADMINISTRATION),
    ("update_receiver", ADMINISTRATION),
    ("delete_receiver", ADMINISTRATION),
    ("test_receiver", ADMINISTRATION),
    ("read_system", ALL),
    (
        "read_configuration",
        Roles(&[Security, Administrator, Auditor]),
    ),
    ("read_health", Public),
    ("read_readiness", Public),
];

/// The rule of an operation.
pub fn of(operation: &str) -> Access {
    let rule = RULES.iter().find(|(id, _)| *id == operation);
    rule.map_or(NOBODY, |(_, access)| *access)
}

impl Access {
    /// Whether somebody with this role may.
    pub fn allows(self, role: Role) -> bool {
        match self {
            Public => true,
            Roles(roles) => roles.contains(&role),
        }
    }

    /// The roles, for a sentence.
    pub fn words(self) -> String {
        match self {
            Public => "nobody in particular".to_owned(),
            Roles(roles) => {
                let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
                names.join(" or ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;
    use crate::api;
    use crate::auth::operations;

    #[test]
    fn every_operation_has_one_rule_and_every_rule_an_operation() {
        let operations: BTreeSet<_> = operations(&api::document()).map(|o| o.2.id).collect();
        let ruled: Vec<_> = RULES.iter().map(|rule| rule.0.to_owned()).collect();
        let unique: BTreeSet<_> = ruled.iter().cloned().collect();
        assert_eq!(ruled.len(), unique.len(), "an operation has two rules");
        assert_eq!(operations, unique);
    }

    /// The table a reviewer reads: who may do what, one operation a line.
    #[test]
    fn the_table_is_the_one_that_was_agreed() {
        let mut table = String::from("operation");
        for role in Role::ALL {
            let _ = write!(table, " {}", role.name());
        }
        table.push_str(" anybody\n");
        for (_, _, operation) in operations(&api::document()) {
            let access = of(&operation.id);
            table.push_str(&operation.id);
            for role in Role::ALL {
                table.push_str(if access.allows(role) { " yes" } else { " -" });
            }
            table.push_str(if access == Public { " yes\n" } else { " -\n" });
        }
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/authorization.txt"
        );
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &table).expect("written");
        }
        let agreed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            table == agreed,
            "who may do what has changed; if that is meant, run this test with UPDATE_SCHEMA=1 \
             and show the difference to a reviewer:\n{table}"
        );
    }
}
