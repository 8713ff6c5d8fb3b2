//! Clinical protocols. `domain notes` are vendors' manuals and advisories, named in the row.

use super::{HANDS, NOBODY, NOT_CLINICAL, Rule, THINGS};

rules! {
    // DICOM: who sends images and who keeps them.
    [DicomUses] ["image storage$" "image storage - for presentation$" "image storage - for processing$"] =>
        [ImagingModality 7.0, Pacs 4.0, Workstation 2.5] not THINGS,
        Strong, "Sends DICOM images ({})", "DICOM PS3.4 B.5";
    [DicomUses] ["storage" "storage$"] => [ImagingModality 4.5, Pacs 4.0, Workstation 2.5] not THINGS,
        Medium, "Sends DICOM objects ({})", "DICOM PS3.4 B.5";
    [DicomUses] ["modality worklist*"] => [ImagingModality 8.0] not NOT_CLINICAL,
        Strong, "Asks for its DICOM worklist", "DICOM PS3.4 K";
    [DicomUses] ["modality performed procedure*"] => [ImagingModality 8.0] not NOT_CLINICAL,
        Strong, "Reports the procedure it performs ({})", "DICOM PS3.4 F";
    [DicomUses] ["storage commitment*"] => [ImagingModality 5.0, Pacs 3.0] not THINGS,
        Strong, "Asks whether its images are kept ({})", "DICOM PS3.4 J";
    [DicomUses] ["query/retrieve*"] =>
        [Workstation 6.5, ImagingModality 2.0, Pacs -2.5] not THINGS,
        Medium, "Looks for images in a DICOM archive ({})", "DICOM PS3.4 C";
    [DicomUses] ["print management*" "grayscale print*" "color print*"] =>
        [ImagingModality 5.0, Workstation 2.5, Pacs 1.5] not THINGS,
        Medium, "Prints film over DICOM", "DICOM PS3.4 H";
    [DicomServes] ["storage$" "storage - for presentation$" "storage - for processing$"] =>
        [Pacs 5.5, Workstation 4.5, ImagingModality -3.0, ClinicalSystem 1.0] not THINGS,
        Strong, "Serves DICOM storage: images are sent to it ({})", "DICOM PS3.4 B.5";
    [DicomServes] ["query/retrieve*"] =>
        [Pacs 8.0, ImagingModality -3.0, Workstation -2.0, ClinicalSystem -2.0] not THINGS,
        Strong, "Answers searches for images ({})", "DICOM PS3.4 C";
    // A modality accepts the same class when the archive calls it back with the result.
    [DicomServes] ["storage commitment*"] => [Pacs 3.0] not THINGS,
        Medium, "Promises to keep images ({})", "DICOM PS3.4 J";
    [DicomServes] ["modality worklist*"] =>
        [ClinicalSystem 7.5, Pacs 5.5, ImagingModality -6.0] not THINGS,
        Strong, "Serves worklists to modalities", "DICOM PS3.4 K";
    [DicomServes] ["modality performed procedure*"] =>
        [ClinicalSystem 6.0, Pacs 5.0, ImagingModality -6.0] not THINGS,
        Strong, "Takes reports of performed procedures", "DICOM PS3.4 F";
    [DicomServes] ["print management*" "grayscale print*" "color print*"] => [Printer 8.0] not THINGS,
        Strong, "Prints film for DICOM systems", "DICOM PS3.4 H";
    [DicomUses] ["verification*"] => [ImagingModality 1.0, Pacs 1.0, Workstation 1.0] not THINGS,
        Medium, "Tests a DICOM connection", "DICOM PS3.4 A";
    [DicomServes] ["verification*"] => [Pacs 1.5, ClinicalSystem 1.0, Workstation 1.0] not THINGS,
        Medium, "Answers tests of the DICOM connection", "DICOM PS3.4 A";
    [Client] ["^dicom$"] => [ImagingModality 2.0, Workstation 1.5, Pacs 1.0] not THINGS,
        Medium, "Opens DICOM associations", "DICOM PS3.8";
    [Server] ["^dicom$"] => [Pacs 2.5, Workstation 1.0, ClinicalSystem 1.0] not THINGS,
        Medium, "Answers DICOM associations", "DICOM PS3.8";
    [DicomCallingAe DicomCalledAe] ["^ct" "^mr" "^mri" "^us" "^cr" "^dx" "^xa" "^mg" "^nm" "^pet" "^rf"] =>
        [ImagingModality 1.5] not NOBODY,
        Weak, "Is named {} in DICOM, as modalities often are", "DICOM PS3.3 C.7.3.1.1.1, modality codes";

    // HL7: who tells whom.
    [Hl7Sends] ["^adt"] => [ClinicalSystem 7.5] not THINGS,
        Strong, "Tells other systems of admissions ({})", "HL7 2.6 ch. 3";
    [Hl7Receives] ["^adt"] =>
        [ClinicalSystem 3.5, CentralStation 3.0, MedicationCabinet 2.5, DeviceGateway 1.5, Pacs 1.5] not THINGS,
        Medium, "Is told of admissions ({})", "HL7 2.6 ch. 3";
    [Hl7Sends] ["^orm" "^omg" "^omi" "^siu" "^mdm" "^oml" "^bar" "^mfn" "^vxu"] => [ClinicalSystem 7.5] not THINGS,
        Strong, "Sends orders or schedules ({})", "HL7 2.6 ch. 4, 9, 10";
    [Hl7Receives] ["^orm" "^omg" "^omi" "^siu" "^mdm" "^bar" "^mfn" "^vxu"] =>
        [ClinicalSystem 5.5, Pacs 3.0] not THINGS,
        Medium, "Receives orders or schedules ({})", "HL7 2.6 ch. 4, 9, 10";
    [Hl7Receives] ["^oru"] => [ClinicalSystem 6.5, CentralStation 1.5] not THINGS,
        Strong, "Receives observations ({})", "HL7 2.6 ch. 7";
    [Hl7Sends] ["^oru"] =>
        [PatientMonitor 2.0, InfusionPump 2.0, LabAnalyser 2.0, GlucoseGateway 1.5, DeviceGateway 2.0, Ventilator 1.5, AnaesthesiaMachine 1.5, Dialysis 1.5, CentralStation 2.0, ClinicalSystem 2.0, Telemetry 1.0] not THINGS,
        Medium, "Reports observations ({})", "HL7 2.6 ch. 7";
    [Hl7Sends] ["^oru^r40" "^oru^r42"] =>
        [PatientMonitor 2.5, CentralStation 3.0, DeviceGateway 2.5, InfusionPump 2.0, Ventilator 1.5, NurseCall 1.5] not THINGS,
        Medium, "Reports alarms ({})", "IHE PCD ACM";
    [Hl7Sends] ["^oru^r30" "^oru^r31" "^oru^r32"] => [GlucoseGateway 7.0, LabAnalyser 3.0] not NOT_CLINICAL,
        Strong, "Reports point-of-care results ({})", "HL7 2.6 ch. 7.3.3";
    [Hl7Sends] ["^oul"] => [LabAnalyser 7.0, ClinicalSystem 2.0, GlucoseGateway 2.0] not NOT_CLINICAL,
        Strong, "Reports laboratory results ({})", "IHE LAW, HL7 2.6 ch. 7";
    [Hl7Receives] ["^oul"] => [ClinicalSystem 7.0] not THINGS,
        Strong, "Receives laboratory results ({})", "IHE LAW";
    [Hl7Receives] ["^oml"] => [LabAnalyser 6.0, ClinicalSystem 3.5] not THINGS,
        Strong, "Receives laboratory work orders ({})", "IHE LAW";
    [Hl7Sends] ["^qbp^q11"] => [LabAnalyser 6.0, GlucoseGateway 2.0] not NOT_CLINICAL,
        Strong, "Asks for the tests of a sample ({})", "IHE LAW";
    [Hl7Receives] ["^rgv"] => [InfusionPump 5.0, DeviceGateway 4.5] not NOT_CLINICAL,
        Strong, "Is given infusion orders ({})", "IHE PCD PIV, PCD-03";
    [Hl7Sends] ["^rds"] => [MedicationCabinet 4.5, ClinicalSystem 4.0] not THINGS,
        Medium, "Tells what drugs were given out ({})", "HL7 2.6 ch. 4A";
    [Hl7Sends] ["^rgv" "^rde" "^omp"] => [ClinicalSystem 5.5, MedicationCabinet 2.0] not THINGS,
        Medium, "Sends medication orders ({})", "HL7 2.6 ch. 4A";
    [Hl7Receives] ["^rde" "^rds" "^omp"] => [MedicationCabinet 5.0, ClinicalSystem 4.0] not THINGS,
        Medium, "Receives medication orders ({})", "HL7 2.6 ch. 4A; domain notes, Pyxis and Omnicell";
    [Hl7Sends] ["^dft" "^zpm"] => [MedicationCabinet 4.5, ClinicalSystem 4.0] not THINGS,
        Medium, "Charges what it gives out ({})", "HL7 2.6 ch. 6; domain notes, medication cabinets";
    [Hl7Profile] ["ihe_pcd_00#*" "ihe_pcd_0##*"] =>
        [InfusionPump 1.5, PatientMonitor 1.5, DeviceGateway 1.5, Ventilator 1.5, AnaesthesiaMachine 1.5, Dialysis 1.5, Telemetry 1.5, CentralStation 1.0] not NOT_CLINICAL,
        Medium, "Speaks HL7 as patient-care devices do ({})", "IHE PCD TF-2";
    [Hl7Profile] ["lab-##*" "ihe_lab*" "law"] => [LabAnalyser 4.0] not NOT_CLINICAL,
        Medium, "Speaks HL7 as laboratory analysers do ({})", "IHE PaLM TF-2b";
    // It proves nothing: a gateway that speaks for one device sends the same.
    [Hl7Device] ["mdc_dev_pump_infus*" "mdc_dev_pump_syringe*"] =>
        [InfusionPump 7.0, DeviceGateway 3.5] not NOT_CLINICAL,
        Medium, "Reports the observations of an infusion pump ({})", "ISO/IEEE 11073-10101";
    [Hl7Device] ["mdc_dev_sys_pt_vent*" "mdc_dev_sys_vent*" "mdc_dev_vent*" "mdc_dev_regul_vol_vent*"] =>
        [Ventilator 7.0, DeviceGateway 3.5] not NOT_CLINICAL,
        Medium, "Reports the observations of a ventilator ({})", "ISO/IEEE 11073-10101";
    [Hl7Device] ["mdc_dev_sys_anesth*" "mdc_dev_anesth*" "mdc_dev_generator_anesth*"] =>
        [AnaesthesiaMachine 7.0, DeviceGateway 3.5] not NOT_CLINICAL,
        Medium, "Reports the observations of an anaesthesia machine ({})", "ISO/IEEE 11073-10101";
    [Hl7Device] ["mdc_dev_mon_physio*" "mdc_dev_mon_pt*" "mdc_dev_meter_physio*" "mdc_dev_ecg*" "mdc_dev_meter_press*" "mdc_dev_analy_sat_o2*"] =>
        [PatientMonitor 6.5, DeviceGateway 3.5, CentralStation 3.5, Telemetry 2.5] not NOT_CLINICAL,
        Medium, "Reports the observations of a patient monitor ({})", "ISO/IEEE 11073-10101";
    [Hl7Device] ["mdc_dev_dialy*" "mdc_dev_hemodialy*" "mdc_dev_sys_dialy*"] =>
        [Dialysis 7.0, DeviceGateway 3.0] not NOT_CLINICAL,
        Medium, "Reports the observations of a dialysis machine ({})", "ISO/IEEE 11073-10101";
    [Client] ["^hl7" "^mllp$"] =>
        [ClinicalSystem 1.5, PatientMonitor 1.0, InfusionPump 1.0, LabAnalyser 1.0, DeviceGateway 1.0, CentralStation 1.0, MedicationCabinet 1.0, Ventilator 1.0, AnaesthesiaMachine 1.0, Dialysis 1.0, Telemetry 1.0, GlucoseGateway 1.0] not THINGS,
        Medium, "Sends HL7 messages", "HL7 MLLP";
    [Server] ["^hl7" "^mllp$"] => [ClinicalSystem 3.5, Pacs 1.0, MedicationCabinet 1.0, CentralStation 1.0] not THINGS,
        Medium, "Receives HL7 messages", "HL7 MLLP";

    // Bedside protocols.
    [WsdTypes] ["medical device"] =>
        [PatientMonitor 3.0, Ventilator 3.0, InfusionPump 3.0, AnaesthesiaMachine 2.5, Dialysis 1.5, DeviceGateway 1.5] not NOT_CLINICAL,
        Strong, "Announces itself as a medical device (IEEE 11073 SDC)", "IEEE 11073-20702";
    [WsdScopes] ["1.2.840.10004.20701*" "sdc.mds.pkp*" "sdc.ctxt*" "sdc.cdc.type*"] =>
        [PatientMonitor 2.5, Ventilator 2.5, InfusionPump 2.5, AnaesthesiaMachine 2.0, DeviceGateway 1.0] not NOT_CLINICAL,
        Strong, "Announces IEEE 11073 SDC scopes", "IEEE 11073-20701";
    [WsdScopes] ["sdc.cdc.type:///69985*" "sdc.cdc.type:///69986*"] => [InfusionPump 7.5] not NOT_CLINICAL,
        Strong, "Announces the type of an infusion pump (IEEE 11073 SDC, {})", "ISO/IEEE 11073-10101 MDC_DEV_PUMP_INFUS";
    [WsdScopes] ["sdc.cdc.type:///70001*" "sdc.cdc.type:///70002*"] => [Ventilator 7.5] not NOT_CLINICAL,
        Strong, "Announces the type of a ventilator (IEEE 11073 SDC, {})", "ISO/IEEE 11073-10101 MDC_DEV_SYS_PT_VENT";
    [WsdScopes] ["sdc.cdc.type:///69965*" "sdc.cdc.type:///69966*"] => [PatientMonitor 7.0] not NOT_CLINICAL,
        Strong, "Announces the type of a patient monitor (IEEE 11073 SDC, {})", "ISO/IEEE 11073-10101 MDC_DEV_MON_PHYSIO_MULTI_PARAM";
    [WsdProbes] ["medical device"] => [CentralStation 7.0, DeviceGateway 3.0, ClinicalSystem 2.5] not THINGS,
        Strong, "Looks for medical devices around it (IEEE 11073 SDC)", "IEEE 11073-20702";
    [Rwhat] ["*central*" "*cic*"] => [CentralStation 7.0, PatientMonitor -3.0] not NOT_CLINICAL,
        Strong, "Announces '{}' in the monitoring network, as central stations do",
        "GE Dash manual 2000966-542D app. C; Vocera Carescape adapter guide";
    [Rwhat] ["^*"] => [PatientMonitor 6.8, CentralStation 5.3, Telemetry 3.5] not NOT_CLINICAL,
        Strong, "Announces '{}' in the monitoring network (GE Unity)",
        "GE Dash manual 2000966-542D app. C; ApexPro service manual";
    [Client] ["^unity-time$"] => [CentralStation 4.0] not NOT_CLINICAL,
        Medium, "Tells the monitoring network the time, as its central node does", "GE Dash manual 2000966-542D app. C";
    [Client] ["^unity-announcement$"] => [PatientMonitor 1.0, CentralStation 1.0, Telemetry 0.5] not NOT_CLINICAL,
        Medium, "Takes part in the monitoring network (GE Unity)", "GE Dash manual 2000966-542D app. C";
    [PhilipsExport] ["^monitor"] => [PatientMonitor 8.0] not NOT_CLINICAL,
        Strong, "Offers its measurements as Philips monitors do", "Philips 4535 642 59271";
    [PhilipsExport] ["^client"] => [CentralStation 4.5, DeviceGateway 4.5, ClinicalSystem 3.5] not THINGS,
        Medium, "Collects measurements of Philips monitors", "Philips 4535 642 59271";
    [PhilipsModel] ["^*"] => [PatientMonitor 6.0] not NOT_CLINICAL,
        Strong, "Says it is the Philips model '{}'", "Philips 4535 642 59271";
    [PoctHello] ["vendor=*" "model=*" "device=*" "serial=*"] => [GlucoseGateway 7.0, LabAnalyser 3.0] not NOT_CLINICAL,
        Strong, "Introduces itself with '{}' in POCT1-A", "CLSI POCT1-A2";
    [Client] ["^poct1*"] => [GlucoseGateway 6.0, LabAnalyser 3.0] not NOT_CLINICAL,
        Strong, "Reports point-of-care results (POCT1-A)", "CLSI POCT1-A2";
    [Server] ["^poct1*"] => [ClinicalSystem 6.0, GlucoseGateway 4.0] not THINGS,
        Medium, "Receives point-of-care results (POCT1-A)", "CLSI POCT1-A2";
    [AstmSender] ["gem*" "abl#*" "rapid*" "rp###*" "i-stat*" "istat*" "epoc*" "*gas*"] => [GlucoseGateway 6.8] not NOT_CLINICAL,
        Medium, "Speaks with the laboratory as '{}', a blood gas analyser of the ward", "makers' catalogues";
    // Analysers and information systems both send headers: what follows tells them apart.
    [AstmSender] ["^*"] => [LabAnalyser 2.0, GlucoseGateway 1.5, ClinicalSystem 2.0] not NOT_CLINICAL,
        Medium, "Speaks with the laboratory as '{}' (ASTM)", "CLSI LIS2-A2";
    [AstmSends] ["^results$"] => [LabAnalyser 5.0, GlucoseGateway 4.4, ClinicalSystem 2.0] not NOT_CLINICAL,
        Strong, "Sends laboratory results (ASTM)", "CLSI LIS2-A2 6.1";
    [AstmSends] ["^query$"] => [LabAnalyser 4.5, GlucoseGateway 3.0, ClinicalSystem 2.0] not NOT_CLINICAL,
        Medium, "Asks for the tests of a sample (ASTM)", "CLSI LIS2-A2 6.1";
    [AstmSends] ["^orders$"] => [ClinicalSystem 6.5, LabAnalyser -2.0] not THINGS,
        Medium, "Sends laboratory orders (ASTM)", "CLSI LIS2-A2 6.1";
    [Client] ["^astm$" "^lis2*" "^lis0*"] => [LabAnalyser 4.0, GlucoseGateway 3.0, ClinicalSystem 3.0] not NOT_CLINICAL,
        Medium, "Opens laboratory conversations (ASTM)", "CLSI LIS01-A2";
    [Server] ["^astm$" "^lis2*" "^lis0*"] => [ClinicalSystem 4.5, LabAnalyser 4.0] not THINGS,
        Medium, "Takes laboratory conversations (ASTM)", "CLSI LIS01-A2";

    [VendorDiscovery] ["^medibus.*"] => [Ventilator 3.5, AnaesthesiaMachine 3.5, DeviceGateway 3.5] not NOT_CLINICAL,
        Strong, "Speaks MEDIBUS, as devices of Draeger do ('{}')", "Draeger MEDIBUS.X; domain notes 1a";
    [Server] ["^medibus$"] => [DeviceGateway 3.5, Ventilator 3.5, AnaesthesiaMachine 3.5] not NOT_CLINICAL,
        Medium, "Answers MEDIBUS, mostly through a serial server", "Draeger MEDIBUS.X; domain notes 1a";
    [Client] ["^medibus$"] => [CentralStation 2.0, DeviceGateway 3.0, ClinicalSystem 2.5] not THINGS,
        Medium, "Collects measurements over MEDIBUS", "Draeger MEDIBUS.X";

    // Fire alarms and other technical alarms are handed on in it too.
    [Client] ["^espa-x$"] => [NurseCall 6.8, BuildingControl 2.5] not THINGS,
        Medium, "Hands on calls and alarms, as nurse call systems do (ESPA-X)", "ESPA-X 1.00";
    [Server] ["^espa-x$"] => [NurseCall 5.0, NetworkInfrastructure 3.0, ClinicalSystem 2.0] not THINGS,
        Medium, "Takes calls and alarms for staff (ESPA-X)", "ESPA-X 1.00";

    // Conversations by port, where a maker states it. Hints: anybody may use a port.
    [OpaqueClient] ["^tcp/3613$" "^udp/3613$"] => [InfusionPump 5.0] not NOBODY,
        Medium, "Calls port 3613, as BD Alaris pumps call their server", "CSAF icsma-23-194-01; IANA 3613";
    [OpaqueServer] ["^tcp/3613$" "^udp/3613$"] => [ClinicalSystem 3.0, DeviceGateway 2.0] not NOBODY,
        Medium, "Is called on port 3613, as servers of BD Alaris pumps are", "CSAF icsma-23-194-01";
    [OpaqueClient] ["^tcp/51243$"] => [InfusionPump 2.5, DeviceGateway 1.5] not NOBODY,
        Weak, "Calls port 51243, as Baxter Sigma pumps call their gateway", "domain notes";
    [OpaqueServer] ["^tcp/1500$"] => [InfusionPump 1.0] not NOBODY,
        Weak, "", "domain notes, B. Braun SpaceCom";
    [OpaqueServer] ["^tcp/4001$" "^tcp/10001$" "^tcp/4002$" "^tcp/10002$"] => [DeviceGateway 2.5] not NOBODY,
        Weak, "Is called on {}, as serial servers are", "domain notes, Moxa and Lantronix";
    [OpaqueServer] ["^udp/24105$"] => [PatientMonitor 3.0] not NOBODY,
        Weak, "", "domain notes, Philips data export";
    [OpaqueClient OpaqueServer] ["^udp/8552$" "^udp/1144$" "^udp/12092$"] => [Telemetry 2.0] not NOBODY,
        Weak, "Uses {}, as location tags and their readers do", "domain notes, Ekahau and AeroScout";
    [OpaqueClient] ["^tcp/515$"] => [PatientMonitor 0.5, Workstation 0.5] not NOBODY,
        Weak, "", "CVE-2025-0626, Contec CMS8000";
    [OpaqueClient OpaqueServer] ["^udp/5002$" "^udp/5400$"] => [Phone 1.5] not NOBODY,
        Weak, "Uses {}, as Vocera badges do", "pubs.vocera.com";

    // The record's side.
    [HttpPath] ["/fhir*" "/metadata$" "/dicom-web*" "/wado*"] =>
        [Workstation 2.0, ClinicalSystem 2.0, Pacs 1.0] not THINGS,
        Medium, "Asks a clinical server for {}", "HL7 FHIR; DICOM PS3.18";
    [DnsQuery TlsServerName HttpHost] ["*.carefusion.*" "*alaris*" "*systemsmanager*"] => [InfusionPump 2.5, MedicationCabinet 1.0] not HANDS,
        Weak, "Looks for {}, a server of infusion pumps", "domain notes, BD";
    [DnsQuery TlsServerName HttpHost] ["*mednet*" "*lifeshield*" "*hospira*"] => [InfusionPump 3.0] not HANDS,
        Weak, "Looks for {}, a server of infusion pumps", "domain notes, ICU Medical";
    [DnsQuery TlsServerName HttpHost] ["*pyxis*" "*omnicell*"] => [MedicationCabinet 3.0] not NOBODY,
        Weak, "Looks for {}, a server of medication cabinets", "domain notes";
    [DnsQuery TlsServerName HttpHost] ["*draeger*" "*serviceconnect*"] =>
        [Ventilator 1.5, AnaesthesiaMachine 1.5, PatientMonitor 1.5] not NOBODY,
        Weak, "", "domain notes, Draeger ServiceConnect";
}
