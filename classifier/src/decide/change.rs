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
            let ranked = answer.chances.ranked().into_iter();
            let rival = ranked.map(|(rival, _)| rival).find(|&rival| rival != role);
            sentences.extend(rival.map(doubt));
            sentences.push("A person says that it is something else".to_owned());
        }
        Some(role) => {
            sentences.push(format!("Proven, if it {}", proof(role)));
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

fn doubt(rival: Role) -> String {
    format!("In doubt, if it {} ({})", proof(rival), rival.words())
}

fn decides(role: Role) -> String {
    format!("Decided for {}, if it {}", role.words(), proof(role))
}

/// What a device of the role does that proves it.
const fn proof(role: Role) -> &'static str {
    match role {
        Role::InfusionPump => "names itself a pump in HL7, SDC or to its pump server",
        Role::PatientMonitor => "announces itself as a monitor (SDC, RWHAT, Philips data export)",
        Role::CentralStation => "looks for medical devices around it or gathers their alarms",
        Role::Ventilator => "names itself a ventilator in SDC or HL7",
        Role::ImagingModality => "asks for a DICOM worklist or sends images",
        Role::Pacs => "keeps DICOM images or answers searches for them",
        Role::ClinicalSystem => "sends admissions or orders in HL7, or receives results",
        Role::LabAnalyser => "sends laboratory results (ASTM, HL7 OUL)",
        Role::GlucoseGateway => "introduces itself in POCT1-A",
        Role::AnaesthesiaMachine => "names itself an anaesthesia machine in SDC or HL7",
        Role::Telemetry => "names itself a telemetry receiver or transmitter",
        Role::Dialysis => "names itself a dialysis machine in SDC or HL7",
        Role::MedicationCabinet => "receives medication orders and names itself a cabinet",
        Role::DeviceGateway => "speaks for several devices, or names itself a serial server",
        Role::NurseCall => "names itself a nurse call system",
        Role::Phone => "tells its switch that it is a telephone, or makes calls (SIP)",
        Role::Workstation => "logs on to the domain and browses the web as a PC",
        Role::Printer => "takes print jobs and says which printer it is",
        Role::Camera => "serves live video (RTSP) or announces itself as a camera (ONVIF)",
        Role::BuildingControl => "answers in BACnet or Modbus",
        Role::DoorControl => "names itself a door controller",
        Role::NetworkInfrastructure => {
            "carries frames for others, gives out addresses, or says so by LLDP"
        }
        Role::Iot => "announces what kind of thing it is (mDNS, SSDP)",
        Role::Hub => "announces itself as a bridge or hub",
        Role::Plug => "announces itself as a plug or outlet",
        Role::Sensor => "announces itself as a sensor",
        Role::Scale => "names itself a scale, or reports to the server of scales",
        Role::Appliance => "announces itself as a household machine",
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
