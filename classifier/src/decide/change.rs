//! What would change an answer, in sentences.

use super::Answer;
use crate::Role;
use crate::device::Evidence;
use crate::knowledge::Family;

/// Sentences an answer carries at most.
const SENTENCES: usize = 3;

/// What would decide an undecided answer, prove an unproven one, or overturn a proven one.
pub(super) fn what_would_change(answer: &Answer, evidence: &Evidence) -> Vec<String> {
    let mut sentences = Vec::new();
    match answer.role {
        Some(role) if answer.may_enforce => {
            sentences.extend(rival(answer, role).map(doubt));
            sentences.push("A person says that it is something else".to_owned());
        }
        Some(role) => {
            sentences.extend(proof(role).map(|proof| format!("Proven, if it {proof}")));
            sentences.push("Proven, if a person confirms it".to_owned());
        }
        None => {
            let decided = answer.roles.iter();
            sentences.extend(decided.map(|&role| decides(role)));
            if answer.roles.is_empty() {
                sentences.extend(silence(evidence));
            }
            sentences.push("Decided, if a person says what it is".to_owned());
        }
    }
    sentences.truncate(SENTENCES);
    sentences
}

/// The other role that most speaks for, if anything does.
fn rival(answer: &Answer, role: Role) -> Option<Role> {
    let ranked = answer.chances.ranked();
    let (_, least) = *ranked.last()?;
    let mut others = ranked.into_iter().filter(|&(other, _)| other != role);
    others
        .next()
        .filter(|&(_, chance)| chance > least)
        .map(|(other, _)| other)
}

fn doubt(rival: Role) -> String {
    format!("In doubt, if it {} ({})", sign(rival), rival.words())
}

fn decides(role: Role) -> String {
    format!("Decided for {}, if it {}", role.words(), sign(role))
}

/// What a device of the role does that names it. Where [`proof`] has no other words, it proves it
/// as well.
const fn sign(role: Role) -> &'static str {
    match role {
        Role::InfusionPump => "names itself an infusion pump in SDC or HL7",
        Role::PatientMonitor => {
            "names itself a monitor in SDC, or offers its data as Philips monitors do"
        }
        Role::CentralStation => {
            "looks for medical devices around it (SDC), or announces itself as a central (RWHAT)"
        }
        Role::Ventilator => "names itself a ventilator in SDC or HL7",
        Role::ImagingModality => "asks for a DICOM worklist or sends images",
        Role::Pacs => "answers searches for DICOM images",
        Role::ClinicalSystem => "sends admissions or orders in HL7, or receives results",
        Role::LabAnalyser => "sends laboratory results (ASTM, HL7 OUL)",
        Role::GlucoseGateway => "introduces itself in POCT1-A",
        Role::AnaesthesiaMachine => "names itself an anaesthesia machine in SDC or HL7",
        Role::Telemetry => "names itself telemetry in HL7, to its web clients or its switch",
        Role::Dialysis => "names itself a dialysis machine in SDC or HL7",
        Role::MedicationCabinet => "receives medication orders and names itself a cabinet in HL7",
        Role::DeviceGateway => {
            "speaks for several devices, or is a serial server by its SNMP number"
        }
        Role::NurseCall => "names itself a nurse call system, or hands on calls in ESPA-X",
        Role::Phone => "tells its switch that it is a telephone",
        Role::Workstation => "logs on to the domain and browses the web as a PC",
        Role::Printer => "says which printer it is (IPP, PJL) or announces itself as one",
        Role::Camera => "announces itself as a camera (ONVIF, SSDP, HomeKit)",
        Role::BuildingControl => "says what it is in BACnet or Modbus",
        Role::DoorControl => "names itself a door controller to web clients or its switch",
        Role::NetworkInfrastructure => {
            "carries frames for others, gives out addresses, or says so by LLDP"
        }
        Role::Iot => "says that it is a light (TP-Link) or a light switch (Belkin)",
        Role::Hub => "announces itself as a bridge or hub (SSDP, HomeKit)",
        Role::Plug => "announces itself as a plug or outlet (SSDP, HomeKit, TP-Link)",
        Role::Sensor => "announces itself as a sensor (SSDP, HomeKit)",
        Role::Scale => "announces itself as a scale, or reports to the server of scales by name",
        Role::Appliance => "announces itself as a household machine (SSDP)",
    }
}

/// What a device of the role does that proves it; `None` where nothing does that the tables know,
/// and only a person can.
const fn proof(role: Role) -> Option<&'static str> {
    match role {
        Role::Telemetry
        | Role::MedicationCabinet
        | Role::NurseCall
        | Role::Workstation
        | Role::Scale => None,
        // In HL7 a gateway says the same of the device it speaks for.
        Role::InfusionPump => Some("names itself an infusion pump in SDC"),
        Role::Ventilator => Some("names itself a ventilator in SDC"),
        Role::AnaesthesiaMachine => Some("names itself an anaesthesia machine in SDC"),
        Role::Dialysis => Some("names itself a dialysis machine in SDC"),
        Role::DoorControl => Some("says that it is a lock or door in HomeKit"),
        _ => Some(sign(role)),
    }
}

/// What a device that says little of itself has not said yet.
fn silence(evidence: &Evidence) -> Option<String> {
    let heard = |family: Family| {
        let mut noted = evidence.noted().iter();
        noted.any(|noted| noted.meaning.family == family)
    };
    let missing: Vec<&str> = [
        (Family::Name, "a host name (at its next DHCP request)"),
        (
            Family::Announcement,
            "an announcement (mDNS, SSDP, WS-Discovery)",
        ),
        (
            Family::Service,
            "an answer to a request (web, video, print)",
        ),
        (Family::Dicom, "a DICOM association or an HL7 message"),
    ]
    .into_iter()
    .filter_map(|(family, words)| (!heard(family)).then_some(words))
    .collect();
    (!missing.is_empty()).then(|| format!("Decided, perhaps, by {}", missing.join("; ")))
}

#[cfg(test)]
mod tests {
    use Field::*;

    use super::*;
    use crate::decide::{Calibration, decide};
    use crate::observer::Said;
    use crate::{Fact, Field};

    type Facts<'a> = &'a [(Field, &'a str)];

    fn answer(facts: Facts<'_>) -> Answer {
        let facts: Vec<Fact> = facts
            .iter()
            .map(|&(field, value)| Fact::new(field, value).unwrap())
            .collect();
        let evidence = Evidence::of(facts.iter().map(|fact| Said::once(fact, 0)), 0, 0);
        decide(&evidence, None, &Calibration::default())
    }

    /// For each thing that [`proof`] says, facts that show it, where it has words of its own.
    const fn proven(role: Role) -> &'static [Facts<'static>] {
        match role {
            Role::InfusionPump => &[&[(WsdScopes, "sdc.cdc.type:///69985")]],
            Role::Ventilator => &[
                &[(WsdScopes, "sdc.cdc.type:///70001")],
                &[(SdcModel, "Ventilator X")],
            ],
            Role::AnaesthesiaMachine => &[&[(SdcModel, "Anaesthesia X")]],
            Role::Dialysis => &[&[(SdcModel, "Dialysis X")]],
            Role::DoorControl => &[&[(MdnsText, "ci=6")]],
            _ => shown(role),
        }
    }

    /// For each thing that [`sign`] says of a role, facts that show it; where [`proof`] has words of
    /// its own, for those that prove nothing.
    const fn shown(role: Role) -> &'static [Facts<'static>] {
        match role {
            Role::InfusionPump => &[&[(Hl7Device, "MDC_DEV_PUMP_INFUS_MDS")]],
            Role::PatientMonitor => &[
                &[(WsdScopes, "sdc.cdc.type:///69965")],
                &[(SdcModel, "Patient Monitor X")],
                &[(PhilipsExport, "monitor")],
            ],
            Role::CentralStation => &[&[(WsdProbes, "MedicalDevice")], &[(Rwhat, "ICU|CENTRAL1")]],
            Role::Ventilator => &[&[(Hl7Device, "MDC_DEV_SYS_PT_VENT_MDS")]],
            Role::ImagingModality => &[
                &[(DicomUses, "Modality Worklist Information Model - FIND")],
                &[(DicomUses, "CT Image Storage")],
            ],
            Role::Pacs => &[&[(
                DicomServes,
                "Study Root Query/Retrieve Information Model - FIND",
            )]],
            Role::ClinicalSystem => &[
                &[(Hl7Sends, "ADT^A01")],
                &[(Hl7Sends, "ORM^O01")],
                &[(Hl7Receives, "ORU^R01")],
            ],
            Role::LabAnalyser => &[
                &[
                    (AstmSends, "results"),
                    (Client, "astm"),
                    (AstmSender, "cobas c311"),
                ],
                &[(Hl7Sends, "OUL^R22")],
            ],
            Role::GlucoseGateway => &[&[(PoctHello, "model=X1"), (Client, "poct1a")]],
            Role::AnaesthesiaMachine => &[&[(Hl7Device, "MDC_DEV_SYS_ANESTH_MDS")]],
            Role::Telemetry => &[
                &[(Hl7Application, "TELEMETRY")],
                &[(HttpServer, "Telemetry Server"), (HttpRealm, "telemetry")],
                &[(LldpDescription, "Telemetry receiver")],
            ],
            Role::Dialysis => &[&[(Hl7Device, "MDC_DEV_DIALYSIS_HDIALY_MDS")]],
            Role::MedicationCabinet => {
                &[&[(Hl7Receives, "RDE^O11"), (Hl7Application, "MEDCABINET")]]
            }
            Role::DeviceGateway => &[
                &[
                    (Hl7Sends, "ORU^R01"),
                    (Hl7Application, "HUB^MON1"),
                    (Hl7Application, "HUB^VENT1"),
                ],
                &[(SnmpObjectId, "1.3.6.1.4.1.8691.2.7")],
            ],
            Role::NurseCall => &[&[(HttpServer, "Nurse Call")], &[(Client, "espa-x")]],
            Role::Phone => &[
                &[(LldpCapabilities, "bridge,telephone")],
                &[(CdpCapabilities, "phone")],
            ],
            Role::Workstation => &[&[
                (Client, "kerberos"),
                (HttpUserAgent, "Mozilla/5.0 (Windows NT 10.0)"),
            ]],
            Role::Printer => &[
                &[(IppModel, "X 400")],
                &[(PjlId, "X 400")],
                &[(SsdpType, "urn:schemas-upnp-org:device:Printer:1")],
            ],
            Role::Camera => &[
                &[(WsdTypes, "dn:NetworkVideoTransmitter")],
                &[(SsdpType, "urn:x:device:DigitalSecurityCamera:1")],
                &[(MdnsText, "ci=17")],
            ],
            Role::BuildingControl => &[
                &[(BacnetVendor, "5")],
                &[(ModbusIdentity, "vendor=X"), (Server, "modbus")],
            ],
            Role::DoorControl => &[
                &[(HttpRealm, "door controller")],
                &[(SnmpDescription, "door controller")],
            ],
            Role::NetworkInfrastructure => &[
                &[(Forwards, "23")],
                &[(Server, "dhcp")],
                &[(LldpCapabilities, "router")],
            ],
            Role::Iot => &[
                &[(VendorDiscovery, "tplink.type=IOT.SMARTBULB")],
                &[(SsdpType, "urn:Belkin:device:lightswitch:1")],
            ],
            Role::Hub => &[
                &[(SsdpType, "urn:Belkin:device:bridge:1")],
                &[(MdnsText, "ci=2")],
            ],
            Role::Plug => &[
                &[(SsdpType, "urn:Belkin:device:controllee:1")],
                &[(MdnsText, "ci=7")],
                &[(VendorDiscovery, "tplink.type=IOT.SMARTPLUGSWITCH")],
            ],
            Role::Sensor => &[
                &[(SsdpType, "urn:Belkin:device:sensor:1")],
                &[(MdnsText, "ci=10")],
            ],
            Role::Scale => &[
                &[(MdnsName, "Acme Smart Scale"), (MdnsText, "md=Smart Scale")],
                &[
                    (DnsQuery, "scalews.withings.net"),
                    (HttpPath, "/scale/register"),
                ],
            ],
            Role::Appliance => &[&[(SsdpType, "urn:Belkin:device:crockpot:1")]],
        }
    }

    #[test]
    fn what_is_said_to_name_or_prove_a_role_does() {
        for &role in Role::ALL {
            let proves = proof(role) == Some(sign(role));
            let named = shown(role).iter().map(|facts| (facts, proves));
            let proven = proven(role)
                .iter()
                .map(|facts| (facts, proof(role).is_some()));
            for (facts, proves) in named.chain(proven) {
                let answer = answer(facts);
                let ranked = &answer.chances.ranked()[..2];
                assert_eq!(answer.role, Some(role), "{facts:?}: {ranked:?}");
                assert_eq!(answer.may_enforce, proves, "{role}: {facts:?}");
            }
        }
    }

    #[test]
    fn what_nothing_proves_is_said_to_be_for_a_person_to_prove() {
        let cabinet = answer(shown(Role::MedicationCabinet)[0]);
        assert_eq!(cabinet.would_change, ["Proven, if a person confirms it"]);
    }

    /// Something of what a rival is said to do takes certainty away, whatever proved the role.
    #[test]
    fn what_is_said_to_bring_doubt_does() {
        let mut rivals = 0;
        for &role in Role::ALL {
            for facts in proven(role) {
                let before = answer(facts);
                let Some(rival) = rival(&before, role).filter(|_| before.may_enforce) else {
                    continue;
                };
                assert_eq!(before.would_change[0], doubt(rival));
                let doubts = |more: &Facts<'_>| {
                    let after = answer(&[*facts, more].concat());
                    after.chances.of(role) < before.chances.of(role)
                };
                assert!(shown(rival).iter().any(doubts), "{facts:?}, {rival}");
                rivals += 1;
            }
        }
        assert!(rivals > 10, "{rivals}");
    }
}
