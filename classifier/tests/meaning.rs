//! What facts mean, case by case: facts in, a role, a set of roles or nothing out.

use wardline_classifier::decide::{Answer, Calibration, decide};
use wardline_classifier::device::Evidence;
use wardline_classifier::observer::Said;
use wardline_classifier::{Fact, Field, Role};

use Field::*;

fn answer(facts: &[(Field, &str)]) -> Answer {
    let facts: Vec<Fact> = facts
        .iter()
        .map(|&(field, value)| Fact::new(field, value).expect("a printable value"))
        .collect();
    let evidence = Evidence::of(facts.iter().map(|fact| Said::once(fact, 0)), 0, 0);
    decide(&evidence, None, &Calibration::default())
}

#[track_caller]
fn check(facts: &[(Field, &str)], expected: Role) {
    let answer = answer(facts);
    let ranked = &answer.chances.ranked()[..3];
    assert_eq!(answer.role, Some(expected), "{facts:?}: {ranked:?}");
    assert!(!answer.evidence.is_empty());
}

/// No role is named; these stay possible (none: nothing is known).
#[track_caller]
fn undecided(facts: &[(Field, &str)], expected: &[Role]) {
    let answer = answer(facts);
    let ranked = &answer.chances.ranked()[..3];
    assert_eq!(answer.role, None, "{facts:?}: {ranked:?}");
    let mut roles = answer.roles.clone();
    roles.sort();
    assert_eq!(roles, expected, "{facts:?}: {ranked:?}");
}

#[test]
fn imaging() {
    let modality = [
        (DicomCallingAe, "CT1"),
        (DicomUses, "CT Image Storage"),
        (DicomUses, "Modality Worklist Information Model - FIND"),
        (Client, "dicom"),
    ];
    check(&modality, Role::ImagingModality);
    // Called back by the archive with the result of the commitment, on a Windows console in the
    // domain.
    let console = [
        (DicomUses, "MR Image Storage"),
        (DicomUses, "Modality Performed Procedure Step SOP Class"),
        (DicomUses, "Storage Commitment Push Model SOP Class"),
        (DicomServes, "Storage Commitment Push Model SOP Class"),
        (DicomServes, "Verification SOP Class"),
        (Client, "dicom"),
        (Server, "dicom"),
        (Client, "kerberos"),
        (DhcpVendorClass, "MSFT 5.0"),
        (SmbSystem, "Windows 10.0"),
        (Oui, "Dell Inc."),
    ];
    check(&console, Role::ImagingModality);
    let archive = [
        (DicomServes, "CT Image Storage"),
        (
            DicomServes,
            "Study Root Query/Retrieve Information Model - FIND",
        ),
        (DicomUses, "CT Image Storage"),
        (Server, "dicom"),
    ];
    check(&archive, Role::Pacs);
    let viewer = [
        (DicomServes, "CT Image Storage"),
        (
            DicomUses,
            "Study Root Query/Retrieve Information Model - MOVE",
        ),
        (Client, "dicom"),
    ];
    check(&viewer, Role::Workstation);
    let ris = [
        (DicomServes, "Modality Worklist Information Model - FIND"),
        (Hl7Receives, "ADT^A01^ADT_A01"),
        (Hl7Sends, "ORM^O01^ORM_O01"),
    ];
    check(&ris, Role::ClinicalSystem);
}

#[test]
fn a_device_that_serves_images_is_no_plug() {
    let facts = [
        (DhcpHostname, "smart-plug"),
        (DicomServes, "CT Image Storage"),
        (
            DicomServes,
            "Study Root Query/Retrieve Information Model - FIND",
        ),
    ];
    check(&facts, Role::Pacs);
}

#[test]
fn bedside() {
    let pump = [
        (Hl7Sends, "ORU^R01^ORU_R01"),
        (Hl7Profile, "IHE_PCD_001^IHE PCD"),
        (Hl7Application, "ALARIS^0003B10000000001^EUI-64"),
        (Client, "hl7"),
    ];
    check(&pump, Role::InfusionPump);
    check(
        &[
            (Hl7Sends, "ORU^R01"),
            (Hl7Device, "MDC_DEV_PUMP_INFUS_MDS"),
            (Client, "hl7"),
        ],
        Role::InfusionPump,
    );
    check(
        &[
            (WsdTypes, "MedicalDevice"),
            (WsdScopes, "sdc.cdc.type:///69985"),
        ],
        Role::InfusionPump,
    );
    check(&[(PhilipsExport, "monitor")], Role::PatientMonitor);
    check(
        &[
            (WsdTypes, "MedicalDevice"),
            (SdcModel, "IntelliVue MX800"),
            (SdcMaker, "Philips"),
        ],
        Role::PatientMonitor,
    );
    check(
        &[(WsdTypes, "MedicalDevice"), (SdcModel, "Evita V600")],
        Role::Ventilator,
    );
    check(
        &[(WsdTypes, "MedicalDevice"), (SdcModel, "Perseus A500")],
        Role::AnaesthesiaMachine,
    );
    check(
        &[
            (Hl7Sends, "ORU^R01"),
            (Hl7Application, "DIALYSIS_5008"),
            (Client, "hl7"),
        ],
        Role::Dialysis,
    );
    check(
        &[
            (Hl7Application, "APEXPRO"),
            (Hl7Sends, "ORU^R01"),
            (Client, "hl7"),
        ],
        Role::Telemetry,
    );
    check(
        &[(WsdProbes, "MedicalDevice"), (Oui, "Draeger Medical")],
        Role::CentralStation,
    );
    check(
        &[
            (Rwhat, "ICU|CENTRAL1"),
            (Client, "unity-time"),
            (Client, "unity-announcement"),
        ],
        Role::CentralStation,
    );
}

#[test]
fn an_announcement_that_monitors_and_centrals_share_leaves_both() {
    undecided(
        &[(Rwhat, "ICU|BED4"), (Client, "unity-announcement")],
        &[Role::PatientMonitor, Role::CentralStation],
    );
    // A medical device whose model nobody has told.
    undecided(
        &[(WsdTypes, "MedicalDevice")],
        &[Role::InfusionPump, Role::PatientMonitor, Role::Ventilator],
    );
}

#[test]
fn laboratory_and_record() {
    check(
        &[
            (PoctHello, "vendor=Roche"),
            (PoctHello, "model=Inform II"),
            (Client, "poct1a"),
        ],
        Role::GlucoseGateway,
    );
    check(
        &[(AstmSender, "cobas c311^1"), (Client, "astm")],
        Role::LabAnalyser,
    );
    // Whoever sends results proves it; who only says a name, or answers with orders, does not.
    let results = answer(&[
        (AstmSender, "cobas c311^1"),
        (AstmSends, "results"),
        (Client, "astm"),
    ]);
    assert_eq!(results.role, Some(Role::LabAnalyser));
    assert!(results.may_enforce);
    let system = [
        (AstmSender, "HOST^1"),
        (AstmSends, "orders"),
        (Server, "astm"),
    ];
    check(&system, Role::ClinicalSystem);
    undecided(
        &[(AstmSender, "HOST^1"), (Server, "astm")],
        &[Role::ClinicalSystem, Role::LabAnalyser],
    );
    check(
        &[
            (AstmSender, "HOST^1"),
            (AstmSends, "orders"),
            (Client, "astm"),
        ],
        Role::ClinicalSystem,
    );
    check(
        &[
            (Hl7Sends, "OUL^R22^OUL_R22"),
            (Hl7Receives, "OML^O33^OML_O33"),
            (Hl7Profile, "LAB-29^IHE"),
        ],
        Role::LabAnalyser,
    );
    check(
        &[
            (Hl7Sends, "ADT^A01^ADT_A01"),
            (Hl7Receives, "ORU^R01^ORU_R01"),
        ],
        Role::ClinicalSystem,
    );
    check(
        &[
            (Hl7Application, "PYXIS"),
            (Hl7Receives, "RDE^O11"),
            (Hl7Sends, "DFT^P03"),
            (Client, "kerberos"),
            (Client, "tds"),
        ],
        Role::MedicationCabinet,
    );
    check(
        &[
            (SipAgent, "Rauland-Responder/5"),
            (HttpServer, "Responder 5 Nurse Call"),
        ],
        Role::NurseCall,
    );
    check(&[(Client, "espa-x")], Role::NurseCall);
    // The one that calls are told to may be a telephone system or a pager's as well.
    let told = answer(&[(Server, "espa-x")]);
    assert_eq!(told.role, None);
    assert_eq!(told.roles.first(), Some(&Role::NurseCall));
}

#[test]
fn one_address_that_speaks_for_several_is_a_gateway() {
    let hub = |devices: [&'static str; 3]| {
        [
            (Hl7Sends, "ORU^R01^ORU_R01"),
            (Hl7Application, devices[0]),
            (Hl7Application, devices[1]),
            (Hl7Application, devices[2]),
            (Client, "hl7"),
        ]
    };
    let bedside = hub(["NEURON^MON1", "NEURON^VENT1", "NEURON^PUMP1"]);
    check(&bedside, Role::DeviceGateway);
    let answered = answer(&bedside);
    assert_eq!(answered.speaks_for.len(), 3);
    assert!(
        answered
            .evidence
            .iter()
            .any(|e| e.sentence.contains("Speaks for 3 devices"))
    );
    // A rack or a central station: nothing says which.
    let alike = answer(&hub(["ACME^CH1", "ACME^CH2", "ACME^CH3"]));
    assert_eq!(alike.role, None);
    assert_eq!(alike.roles, [Role::DeviceGateway, Role::CentralStation]);
    let beds = answer(&hub(["ICS^BED1", "ICS^BED2", "ICS^BED3"]));
    assert_eq!(beds.roles.first(), Some(&Role::CentralStation));
    check(
        &[
            (SnmpDescription, "Moxa NPort 5110 Ver 2.10"),
            (SnmpObjectId, "1.3.6.1.4.1.8691.2.7"),
            (OpaqueServer, "tcp/4001"),
        ],
        Role::DeviceGateway,
    );
}

#[test]
fn offices_and_networks() {
    check(
        &[
            (DhcpVendorClass, "MSFT 5.0"),
            (Client, "kerberos"),
            (
                HttpUserAgent,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120",
            ),
            (DhcpHostname, "DESKTOP-4F7K2"),
        ],
        Role::Workstation,
    );
    check(&[(IppModel, "HP LaserJet 400 M401dn")], Role::Printer);
    check(
        &[(MdnsService, "_ipp._tcp"), (Server, "ipp")],
        Role::Printer,
    );
    check(
        &[
            (SipAgent, "PolycomVVX-VVX_400-UA/5.9"),
            (LldpCapabilities, "bridge,telephone"),
        ],
        Role::Phone,
    );
    check(&[(Forwards, "23")], Role::NetworkInfrastructure);
    check(&[(Server, "dhcp")], Role::NetworkInfrastructure);
    check(
        &[
            (LldpCapabilities, "bridge,router"),
            (LldpDescription, "Cisco IOS Software, Catalyst"),
        ],
        Role::NetworkInfrastructure,
    );
    check(
        &[(BacnetVendor, "5"), (Client, "bacnet")],
        Role::BuildingControl,
    );
    check(
        &[
            (ModbusIdentity, "vendor=Schneider Electric"),
            (Server, "modbus"),
        ],
        Role::BuildingControl,
    );
    check(
        &[
            (HttpRealm, "HID EVO door controller"),
            (OpaqueClient, "tcp/4070"),
        ],
        Role::DoorControl,
    );
}

#[test]
fn smartphones_and_tablets_stay_together() {
    undecided(
        &[
            (
                HttpUserAgent,
                "Dalvik/2.1.0 (Linux; U; Android 5.1.1; SM-N7505)",
            ),
            (DhcpVendorClass, "android-dhcp-9"),
        ],
        &[Role::Phone, Role::Workstation],
    );
    // Steering things does not make it one of them.
    let steers = answer(&[
        (HttpUserAgent, "Dalvik/2.1.0 (Linux; U; Android 5.1.1)"),
        (HttpPath, "/smartplug.cgi"),
        (DnsQuery, "api.smartplug.example.com"),
    ]);
    assert_ne!(steers.role, Some(Role::Plug));
    assert!(!steers.roles.contains(&Role::Plug));
}

#[test]
fn things_of_makers_in_the_tables() {
    check(&[(SsdpType, "urn:Belkin:device:controllee:1")], Role::Plug);
    check(&[(SsdpUsn, "uuid:Socket-1_0-221519K1100F55")], Role::Plug);
    check(&[(SsdpType, "urn:Belkin:device:bridge:1")], Role::Hub);
    check(
        &[
            (DhcpHostname, "HS110(EU)"),
            (DnsQuery, "devs.tplinkcloud.com"),
        ],
        Role::Plug,
    );
    check(
        &[
            (MdnsText, "model_number=DCS-930L"),
            (DhcpHostname, "DCS-930L"),
        ],
        Role::Camera,
    );
    check(&[(MdnsText, "ci=7")], Role::Plug);
    check(&[(MdnsText, "ci=17")], Role::Camera);
    check(
        &[(MdnsService, "_hap._tcp"), (MdnsText, "ci=10")],
        Role::Sensor,
    );
    check(&[(WsdTypes, "dn:NetworkVideoTransmitter")], Role::Camera);
    check(
        &[
            (Server, "rtsp"),
            (RtspServer, "Hipcam RealServer/V1.0"),
            (HttpServer, "GoAhead-Webs"),
        ],
        Role::Camera,
    );
    check(
        &[
            (HttpPath, "/scale/register"),
            (DnsQuery, "www.fitbit.com"),
            (Oui, "Fitbit, Inc."),
        ],
        Role::Scale,
    );
}

/// Makers and models that no table has: the words are enough, or the answer is honest.
#[test]
fn things_of_makers_nobody_has_heard_of() {
    check(
        &[
            (UpnpDescription, "modelName=Acme IP Camera 7"),
            (SsdpServer, "Linux/3.0 UPnP/1.0 AcmeCam/2.1"),
        ],
        Role::Camera,
    );
    check(
        &[
            (MdnsName, "Acme Smart Plug mini"),
            (DhcpHostname, "acme-smartplug"),
            (MdnsText, "md=Acme Smart Plug mini"),
        ],
        Role::Plug,
    );
    check(
        &[
            (DhcpHostname, "acme-kettle"),
            (MdnsName, "Acme Kettle"),
            (TlsServerName, "kettle.acme.example"),
            (VendorDiscovery, "acme.type=Kettle"),
        ],
        Role::Appliance,
    );
    check(
        &[(SsdpType, "urn:acme-com:device:MotionSensor:1")],
        Role::Sensor,
    );
    // A vendor alone, a radio module alone, or an ambiguous word decide nothing.
    undecided(&[(Oui, "Edimax Technology Co. Ltd.")], &[]);
    undecided(
        &[
            (Oui, "Espressif Inc."),
            (DhcpHostname, "ESP_0A1B2C"),
            (DhcpVendorClass, "udhcp 1.22.1"),
        ],
        &[],
    );
    undecided(&[(DhcpHostname, "switch")], &[]);
    undecided(&[(DhcpHostname, "gateway")], &[]);
    undecided(
        &[(MdnsName, "siren"), (DhcpHostname, "DCH-S220")],
        &[Role::Iot, Role::Sensor],
    );
}

#[test]
fn whoever_asks_for_a_name_is_not_what_it_names() {
    undecided(
        &[
            (DnsQuery, "pacs.hospital.example"),
            (DnsQuery, "printer7.hospital.example"),
            (HttpHost, "ventilator-gateway.hospital.example"),
        ],
        &[],
    );
}

#[test]
fn evidence_that_contradicts_itself_is_said_and_decides_nothing() {
    let answer = answer(&[
        (SsdpType, "urn:Belkin:device:controllee:1"),
        (MdnsText, "ci=17"),
    ]);
    assert_eq!(answer.role, None);
    assert!(!answer.may_enforce);
    let conflict = answer.conflict.unwrap();
    assert!(conflict.contains("switchable plug"), "{conflict}");
    assert!(conflict.contains("camera"), "{conflict}");
}

#[test]
fn only_a_statement_that_proves_the_role_may_enforce() {
    let proven = answer(&[(SsdpType, "urn:Belkin:device:controllee:1")]);
    assert!(proven.may_enforce);
    let told = answer(&[
        (DhcpHostname, "HS110(EU)"),
        (DnsQuery, "devs.tplinkcloud.com"),
    ]);
    assert_eq!(told.role, Some(Role::Plug));
    assert!(!told.may_enforce, "a host name and a cloud prove nothing");
    assert!(told.would_change[0].starts_with("Proven, if it"));
}

#[test]
fn a_host_name_is_an_asset_tag_first() {
    let answer = answer(&[(DhcpHostname, "BIOMED-004711")]);
    assert_eq!(answer.asset_tags, ["BIOMED-004711"]);
    assert_eq!(answer.role, None);
}
