//! What a device is for.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! roles {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, $words:literal; )*) => {
        /// The role of a device. "Unknown" is the absence of a role, not one of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Role { $( $(#[$doc])* $variant, )* }

        impl Role {
            /// All roles, in the order of their index.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            /// The name in documents, REST and models.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }

            /// What a person calls it, in the singular and without an article.
            pub const fn words(self) -> &'static str {
                match self { $( Self::$variant => $words, )* }
            }
        }
    };
}

roles! {
    /// Delivers fluids and drugs.
    InfusionPump = "infusion-pump", "infusion pump";
    /// Shows and alarms on vital signs at the bed.
    PatientMonitor = "patient-monitor", "patient monitor";
    /// Gathers the alarms and waves of many monitors.
    CentralStation = "central-station", "central station";
    /// Breathes for the patient.
    Ventilator = "ventilator", "ventilator";
    /// Makes images: CT, MR, ultrasound, X-ray.
    ImagingModality = "imaging-modality", "imaging modality";
    /// Keeps images.
    Pacs = "pacs", "PACS";
    /// RIS, HIS, EMR and interface engines.
    ClinicalSystem = "clinical-system", "clinical information system";
    /// Analyses samples in the laboratory.
    LabAnalyser = "lab-analyser", "laboratory analyser";
    /// Brings point-of-care results (glucose, blood gas) to the record.
    GlucoseGateway = "glucose-gateway", "point-of-care gateway";
    /// Delivers anaesthetics.
    AnaesthesiaMachine = "anaesthesia-machine", "anaesthesia machine";
    /// Wearable monitoring and its receivers.
    Telemetry = "telemetry", "telemetry";
    /// Cleans blood.
    Dialysis = "dialysis", "dialysis machine";
    /// Gives out drugs.
    MedicationCabinet = "medication-cabinet", "medication cabinet";
    /// Dock, bedside hub or serial server that speaks for several devices.
    DeviceGateway = "device-gateway", "device gateway";
    /// Calls staff.
    NurseCall = "nurse-call", "nurse call";
    /// Telephone or voice badge.
    Phone = "phone", "phone or voice badge";
    /// PC, tablet, viewer.
    Workstation = "workstation", "workstation";
    /// Prints.
    Printer = "printer", "printer";
    /// Sends pictures of rooms.
    Camera = "camera", "camera";
    /// Heating, air, power, gas.
    BuildingControl = "building-control", "building control";
    /// Opens doors.
    DoorControl = "door-control", "door control";
    /// Switch, router, access point, and the servers every network has.
    NetworkInfrastructure = "network-infrastructure", "network infrastructure";
    /// General thing on the network that no narrower role names.
    Iot = "iot", "connected thing";
    /// Speaks for radio devices of a building.
    Hub = "hub", "smart-home hub";
    /// Switches a socket.
    Plug = "plug", "switchable plug";
    /// Measures a room.
    Sensor = "sensor", "sensor";
    /// Weighs people.
    Scale = "scale", "scale";
    /// Household machine.
    Appliance = "appliance", "appliance";
}

impl Role {
    /// Number of roles.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in arrays by role.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether it is one of the general things of a building rather than of a ward.
    pub const fn is_iot(self) -> bool {
        matches!(
            self,
            Self::Iot
                | Self::Camera
                | Self::Hub
                | Self::Plug
                | Self::Sensor
                | Self::Scale
                | Self::Appliance
        )
    }

    /// Whether care depends on it: an update of what was learnt may never lower how many of these
    /// are recognised.
    pub const fn is_protected(self) -> bool {
        (self as usize) <= (Self::NurseCall as usize)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.iter().find(|role| role.name() == name);
        found.copied().ok_or_else(|| UnknownRole(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_ones_serde_writes_and_lead_back() {
        for &role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            let written = serde_json::to_string(&role).unwrap();
            assert_eq!(written, format!("\"{}\"", role.name()));
        }
    }
}
