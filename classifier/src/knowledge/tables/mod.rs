//! The tables: what values mean for roles, as log-odds.
//!
//! How to weigh: 0.5 to 1.5 is a hint that never decides; 3 to 5 needs company; from 6.5 on one
//! statement suffices. Leave out what only names a vendor: one maker builds cameras, plugs and
//! sensors. A new row needs a source, and a case in `tests/meaning.rs`.

use crate::{Field, Role, Strength};

/// What certain values of certain fields mean.
#[derive(Debug)]
pub(super) struct Rule {
    pub fields: &'static [Field],
    /// Any of these patterns.
    pub any: &'static [&'static str],
    pub weights: &'static [(Role, f32)],
    /// Roles it speaks against, by [`AGAINST`].
    pub against: &'static [Role],
    pub strength: Strength,
    /// With `{}` for the value; empty: that of the field.
    pub sentence: &'static str,
    /// Where this is known from.
    pub source: &'static str,
}

/// What a word means wherever a device names itself.
#[derive(Debug)]
pub(super) struct Word {
    pub any: &'static [&'static str],
    pub weights: &'static [(Role, f32)],
}

/// How a maker designates the models of a kind.
#[derive(Debug)]
pub(super) struct Line {
    pub maker: &'static str,
    /// In the plural: "network cameras".
    pub kind: &'static str,
    pub any: &'static [&'static str],
    pub weights: &'static [(Role, f32)],
}

/// A maker, and what it mostly makes.
#[derive(Debug)]
pub(super) struct Maker {
    pub name: &'static str,
    pub any: &'static [&'static str],
    pub weights: &'static [(Role, f32)],
}

/// Weight of a statement that speaks against a role.
pub(super) const AGAINST: f32 = -5.0;

/// Things of a building that no clinical or office protocol comes from.
pub(super) const THINGS: &[Role] = &[
    Role::Camera,
    Role::Iot,
    Role::Hub,
    Role::Plug,
    Role::Sensor,
    Role::Scale,
    Role::Appliance,
    Role::DoorControl,
];

/// What is no bedside device.
pub(super) const NOT_CLINICAL: &[Role] = &[
    Role::Workstation,
    Role::Printer,
    Role::Phone,
    Role::NetworkInfrastructure,
    Role::BuildingControl,
    Role::Camera,
    Role::Iot,
    Role::Hub,
    Role::Plug,
    Role::Sensor,
    Role::Scale,
    Role::Appliance,
    Role::DoorControl,
];

/// Devices with people's hands on them, which things never are.
pub(super) const HANDS: &[Role] = &[Role::Workstation, Role::Phone];

/// Nothing to speak against.
pub(super) const NOBODY: &[Role] = &[];

/// Row after row: `[Fields] ["patterns"] => [Role weight, …] not GROUP, Strength, "sentence",
/// "source";`
macro_rules! rules {
    ($( [$($field:ident)+] [$($any:literal)+] => [$($role:ident $weight:literal),*]
        not $against:ident, $strength:ident, $sentence:literal, $source:literal; )*) => {
        pub(in crate::knowledge) const RULES: &[Rule] = &[ $( Rule {
            fields: &[ $( crate::Field::$field ),+ ],
            any: &[ $( $any ),+ ],
            weights: &[ $( (crate::Role::$role, $weight) ),* ],
            against: $against,
            strength: crate::Strength::$strength,
            sentence: $sentence,
            source: $source,
        } ),* ];
    };
}

/// Row after row: `["patterns"] => [Role weight, …];`
macro_rules! words {
    ($( [$($any:literal)+] => [$($role:ident $weight:literal),*]; )*) => {
        pub(in crate::knowledge) const WORDS: &[Word] = &[ $( Word {
            any: &[ $( $any ),+ ],
            weights: &[ $( (crate::Role::$role, $weight) ),* ],
        } ),* ];
    };
}

/// Row after row: `"maker", "kind" ["patterns"] => [Role weight, …];`
macro_rules! lines {
    ($( $maker:literal, $kind:literal [$($any:literal)+] => [$($role:ident $weight:literal),*]; )*)
    => {
        pub(in crate::knowledge) const LINES: &[Line] = &[ $( Line {
            maker: $maker,
            kind: $kind,
            any: &[ $( $any ),+ ],
            weights: &[ $( (crate::Role::$role, $weight) ),* ],
        } ),* ];
    };
}

/// Row after row: `"maker" ["patterns"] => [Role weight, …];`
macro_rules! makers {
    ($( $name:literal [$($any:literal)+] => [$($role:ident $weight:literal),*]; )*) => {
        pub(in crate::knowledge) const MAKERS: &[Maker] = &[ $( Maker {
            name: $name,
            any: &[ $( $any ),+ ],
            weights: &[ $( (crate::Role::$role, $weight) ),* ],
        } ),* ];
    };
}

pub(super) mod building;
pub(super) mod clinical;
pub(super) mod hospital;
pub(super) mod lines;
pub(super) mod makers;
pub(super) mod things;
pub(super) mod words;
