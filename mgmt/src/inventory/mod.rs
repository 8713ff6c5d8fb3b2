//! What the hospital owns, beside what is seen: the facts of an asset, lists of them that are
//! uploaded ([`list`]), and what such a list would change ([`plan`]).

pub mod list;
pub mod plan;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::problem::FieldError;
use crate::api::request::{said, text};

/// Bytes of most texts.
pub const TEXT_BYTES: usize = 128;
/// Bytes of notes.
pub const NOTES_BYTES: usize = 4_096;
/// Bytes of a unique device identifier with all its parts.
const UDI_BYTES: usize = 256;
/// MAC addresses of one asset.
pub const MACS: usize = 16;

/// What is written down of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// The number on its sticker; no two assets have the same.
    pub tag: String,
    /// Its number in the maintenance system (CMMS).
    pub cmms_number: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Unique device identifier.
    pub udi: Option<String>,
    /// Maker.
    pub maker: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// The department that owns it.
    pub department: Option<String>,
    /// Its name in DHCP.
    pub hostname: Option<String>,
    /// Its MAC addresses.
    pub macs: Vec<String>,
    /// Where it belongs.
    pub location: Place,
    /// Anything else worth knowing.
    pub notes: Option<String>,
}

/// Where something belongs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Place {
    /// Site.
    #[schema(max_length = 128)]
    pub site: Option<String>,
    /// Building.
    #[schema(max_length = 128)]
    pub building: Option<String>,
    /// Floor.
    #[schema(max_length = 128)]
    pub floor: Option<String>,
    /// Ward.
    #[schema(max_length = 128)]
    pub ward: Option<String>,
    /// Room.
    #[schema(max_length = 128)]
    pub room: Option<String>,
    /// Bed.
    #[schema(max_length = 128)]
    pub bed: Option<String>,
}

/// One of the facts, as a column of the table and of lists.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are the fields of `Facts`")]
pub enum Column {
    Tag,
    CmmsNumber,
    Serial,
    Udi,
    Maker,
    Model,
    Department,
    Hostname,
    Macs,
    Site,
    Building,
    Floor,
    Ward,
    Room,
    Bed,
    Notes,
}

impl Column {
    /// All, in the order of exports.
    pub const ALL: [Self; 16] = [
        Self::Tag,
        Self::CmmsNumber,
        Self::Serial,
        Self::Udi,
        Self::Maker,
        Self::Model,
        Self::Department,
        Self::Hostname,
        Self::Macs,
        Self::Site,
        Self::Building,
        Self::Floor,
        Self::Ward,
        Self::Room,
        Self::Bed,
        Self::Notes,
    ];

    /// Its name in the database and in exports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::CmmsNumber => "cmms_number",
            Self::Serial => "serial",
            Self::Udi => "udi",
            Self::Maker => "maker",
            Self::Model => "model",
            Self::Department => "department",
            Self::Hostname => "hostname",
            Self::Macs => "macs",
            Self::Site => "site",
            Self::Building => "building",
            Self::Floor => "floor",
            Self::Ward => "ward",
            Self::Room => "room",
            Self::Bed => "bed",
            Self::Notes => "notes",
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Notes => NOTES_BYTES,
            Self::Udi => UDI_BYTES,
            _ => TEXT_BYTES,
        }
    }

    /// Complains of a text that cannot be this fact.
    pub fn check(self, field: &str, value: &str, errors: &mut Vec<FieldError>) {
        text(field, Some(value), self.bytes(), errors);
        if self != Self::Notes && value.contains(['\n', '\t']) {
            errors.push(FieldError::new(field, "one line"));
        }
        if self == Self::Serial && is_mangled(value) {
            errors.push(FieldError::new(
                field,
                "a serial number; this is a number that a spreadsheet has rounded",
            ));
        }
    }
}

/// Whether a spreadsheet took a serial number for a number: `1.23457E+11`.
fn is_mangled(serial: &str) -> bool {
    let Some((head, tail)) = serial.split_once("E+") else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    digits(&head.replacen(['.', ','], "", 1)) && digits(tail)
}

impl Facts {
    /// A fact as text; empty when it is not known.
    pub fn get(&self, column: Column) -> String {
        let place = &self.location;
        let value = match column {
            Column::Tag => return self.tag.clone(),
            Column::Macs => return self.macs.join(" "),
            Column::CmmsNumber => &self.cmms_number,
            Column::Serial => &self.serial,
            Column::Udi => &self.udi,
            Column::Maker => &self.maker,
            Column::Model => &self.model,
            Column::Department => &self.department,
            Column::Hostname => &self.hostname,
            Column::Site => &place.site,
            Column::Building => &place.building,
            Column::Floor => &place.floor,
            Column::Ward => &place.ward,
            Column::Room => &place.room,
            Column::Bed => &place.bed,
            Column::Notes => &self.notes,
        };
        value.clone().unwrap_or_default()
    }

    /// Sets a fact from text, as [`Facts::get`] gives it.
    pub fn set(&mut self, column: Column, value: &str) {
        let place = &mut self.location;
        let field = match column {
            Column::Tag => {
                value.clone_into(&mut self.tag);
                return;
            }
            Column::Macs => {
                self.macs = value.split_whitespace().map(str::to_owned).collect();
                return;
            }
            Column::CmmsNumber => &mut self.cmms_number,
            Column::Serial => &mut self.serial,
            Column::Udi => &mut self.udi,
            Column::Maker => &mut self.maker,
            Column::Model => &mut self.model,
            Column::Department => &mut self.department,
            Column::Hostname => &mut self.hostname,
            Column::Site => &mut place.site,
            Column::Building => &mut place.building,
            Column::Floor => &mut place.floor,
            Column::Ward => &mut place.ward,
            Column::Room => &mut place.room,
            Column::Bed => &mut place.bed,
            Column::Notes => &mut self.notes,
        };
        *field = Some(value.to_owned()).filter(|value| !value.is_empty());
    }

    /// Trims texts and brings MAC addresses into one form.
    #[must_use]
    pub fn tidy(mut self) -> Self {
        for column in Column::ALL {
            if column != Column::Macs {
                let value = self.get(column);
                self.set(column, value.trim());
            }
        }
        self.macs = self
            .macs
            .iter()
            .map(|mac| mac_of(mac).unwrap_or_else(|| mac.clone()))
            .collect();
        self.macs.sort();
        self.macs.dedup();
        self
    }

    /// Every fact that cannot be so.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        said("tag", self.tag.trim(), TEXT_BYTES, &mut errors);
        for column in Column::ALL {
            let place = Column::Site <= column && column <= Column::Bed;
            let prefix = if place { "location." } else { "" };
            if column != Column::Macs {
                let field = format!("{prefix}{}", column.name());
                column.check(&field, &self.get(column), &mut errors);
            }
        }
        if self.macs.len() > MACS {
            errors.push(FieldError::new("macs", format!("at most {MACS}")));
        }
        for (index, mac) in self.macs.iter().enumerate() {
            if mac_of(mac).is_none() {
                errors.push(FieldError::new(format!("macs[{index}]"), NO_MAC));
            }
        }
        errors
    }
}

/// What is said of a text that is no MAC address.
pub const NO_MAC: &str = "the MAC address of one device, such as 00:09:fb:12:34:56";

/// A MAC address in the one form it is kept in, whichever way it was written.
pub fn mac_of(text: &str) -> Option<String> {
    let text = text.trim();
    let digits: String = text
        .chars()
        .filter(|c| !":-.".contains(*c))
        .collect::<String>()
        .to_ascii_lowercase();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pairs: Vec<_> = (0..12).step_by(2).map(|at| &digits[at..at + 2]).collect();
    let first = u8::from_str_radix(pairs[0], 16).ok()?;
    // A group's address is nobody's.
    let single = first & 1 == 0 && digits != "000000000000";
    single.then(|| pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_read_however_it_is_written() {
        for text in [
            "00:09:FB:00:00:01",
            "0009.fb00.0001",
            " 00-09-fb-00-00-01",
            "0009fb000001",
        ] {
            assert_eq!(mac_of(text).as_deref(), Some("00:09:fb:00:00:01"), "{text}");
        }
        for text in [
            "",
            "00:09:fb:00:00",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "ü009fb000001",
        ] {
            assert_eq!(mac_of(text), None, "{text}");
        }
    }

    #[test]
    fn facts_come_back_from_their_columns() {
        let mut facts = Facts::default();
        for column in Column::ALL {
            let value = if column == Column::Macs {
                "00:09:fb:00:00:01"
            } else {
                column.name()
            };
            facts.set(column, value);
        }
        let mut again = Facts::default();
        for column in Column::ALL {
            again.set(column, &facts.get(column));
        }
        assert_eq!(again, facts);
        assert_eq!(facts.check(), []);
    }

    #[test]
    fn what_a_spreadsheet_made_of_a_serial_number_is_none() {
        for (serial, fits) in [
            ("1.23457E+11", false),
            ("4,2E+9", false),
            ("12E+X", true),
            ("BX-E+1", true),
        ] {
            let mut errors = Vec::new();
            Column::Serial.check("serial", serial, &mut errors);
            assert_eq!(errors.is_empty(), fits, "{serial}");
        }
    }
}
