//! What words mean wherever a device names itself, whoever made it. A field keeps a part of the
//! weight (see `telling`): 7 decides in an announcement, and needs company in a host name.
//!
//! Ambiguous words spread their weight, so that alone they give a set and not a role: a switch
//! may switch frames or a lamp, a gateway may speak for pumps or for lamps.

use super::Word;

words! {
    // Things of a building.
    ["camera*" "*cam" "ipcam*" "netcam*" "webcam*" "*cctv" "ipc-*" "video encoder" "baby monitor" "doorbell cam*"] => [Camera 7.0];
    ["doorbell" "video door*" "intercom"] => [Camera 4.5, DoorControl 3.5, Iot 2.0];
    ["nvr" "dvr" "video recorder" "network video recorder"] => [Workstation 2.0, Camera 2.0, NetworkInfrastructure 2.0];
    ["plug" "*smartplug*" "smart plug" "wifi plug*" "*powerplug" "power plug" "smart socket" "*outlet" "wall socket" "power socket" "*steckdose"] => [Plug 7.0];
    ["plug and play" "plug & play" "plug-and-play" "plug-in*"] => [Plug -7.0];
    ["socket"] => [Plug 5.0];
    ["power strip" "*powerstrip"] => [Plug 5.5];
    ["switch"] => [NetworkInfrastructure 3.5, Plug 3.0, Iot 2.5];
    ["relay" "dimmer"] => [Iot 4.5, Plug 3.5];
    ["bulb*" "*bulb" "light" "lights" "lamp*" "lighting" "ledstrip" "luminaire" "*light"] => [Iot 5.0, Hub 1.5, BuildingControl 1.0];
    ["hub" "*homehub" "smart hub*" "home hub"] => [Hub 5.5, NetworkInfrastructure 2.0];
    ["zigbee*" "z-wave*" "zwave*" "thread border*" "*homematic*" "enocean*"] => [Hub 5.0, Sensor 1.5, Iot 1.5];
    ["bridge"] => [Hub 5.0, NetworkInfrastructure 3.0, DeviceGateway 1.0];
    ["gateway" "gw"] => [Hub 3.5, DeviceGateway 3.0, NetworkInfrastructure 3.0];
    ["smart home gateway" "home gateway" "lightify*" "tradfri*"] => [Hub 5.5, NetworkInfrastructure 1.5];
    ["sensor*" "*sensor" "detector" "thermometer" "hygrometer" "*weather*station*" "air quality" "smoke" "leak"] => [Sensor 6.5, BuildingControl 1.5];
    ["motion" "pir"] => [Sensor 4.5, Camera 1.0];
    ["water" "flood" "moisture"] => [Sensor 3.0, Appliance 1.5, Dialysis 0.5];
    ["temperature" "humidity" "presence"] => [Sensor 3.5, BuildingControl 1.5];
    ["siren" "alarm" "buzzer"] => [Iot 4.0, Sensor 3.5, BuildingControl 1.0];
    ["scale" "scales" "*bodyscale*" "body scale" "smartscale*" "weighing*"] => [Scale 7.0];
    ["body cardio" "bathroom scale"] => [Scale 6.5];
    ["kettle*" "*kettle*" "coffee*" "espresso*" "*oven" "fridge*" "refrigerator*" "freezer" "washer*" "washing machine" "dryer" "dishwasher*" "vacuum*" "roomba*" "cooker*" "toaster*" "microwave" "air purifier*" "airpurifier*" "humidifier*" "*robotvacuum*" "hob" "appliance"] => [Appliance 7.0];
    ["heater" "fan" "air conditioner" "aircon*"] => [Appliance 4.0, BuildingControl 3.5];
    ["speaker" "soundbar" "smart tv" "smarttv*" "chromecast*" "television" "alexa*" "amazon echo*" "echo dot*" "set-top*" "mediaplayer"] => [Iot 6.0];

    // The building itself.
    ["thermostat*" "hvac*" "bacnet*" "ahu" "vav" "chiller" "boiler" "building automation" "building controller" "building management" "room controller" "bms" "ddc" "air handling*"] => [BuildingControl 7.0];
    ["ups" "smart-ups*" "pdu" "rackpdu" "power meter" "energy meter" "genset" "medical gas*" "gas alarm*"] => [BuildingControl 6.0];
    ["elevator" "blind" "shutter" "pneumatic tube*" "translogic*"] => [BuildingControl 5.0, Iot 1.0];
    ["door controller*" "access control*" "card reader*" "badge reader*" "door access*" "doorcontroller*" "vertx*" "edge evo*" "access panel*"] => [DoorControl 7.0];
    ["lock" "smartlock*" "doorlock*" "door lock*"] => [DoorControl 5.5, Iot 1.5];
    ["door"] => [DoorControl 3.0, Sensor 3.0];

    // The network and offices.
    ["router" "firewall" "access point" "accesspoint" "wireless controller" "*-ap" "wlc" "switch software" "managed switch" "ethernet switch" "catalyst*" "routeros*" "openwrt*" "junos*" "ios-xe" "ios software*" "fortigate*" "pfsense*" "aruba*" "procurve*" "comware*" "edgeswitch*" "load balancer" "domain controller" "dhcp server" "dns server"] => [NetworkInfrastructure 7.0];
    ["unifi*"] => [NetworkInfrastructure 4.0, Camera 2.0];
    ["printer*" "*printer" "laserjet*" "officejet*" "deskjet*" "pagewide*" "*jetdirect*" "ecosys*" "imagerunner*" "workcentre*" "phaser" "bizhub*" "taskalfa*" "zebranet*" "multifunction*" "*copier" "label printer*" "wristband printer*" "*photosmart*" "print server" "docuprint*" "versalink*"] => [Printer 7.0];
    ["ip phone*" "ipphone*" "*sip phone*" "telephone*" "voip phone*" "deskphone*" "dect" "vocera*" "voice badge*" "soundpoint*" "softphone*" "*-phone" "spectralink*" "yealink*" "polycom*" "snom*"] => [Phone 7.0];
    ["badge"] => [Phone 4.5, NurseCall 3.0, Telemetry 1.5, DoorControl 1.0];
    ["phone" "smartphone"] => [Phone 5.0, Workstation 1.0];
    ["workstation" "desktop" "laptop" "thin client*" "thinclient*" "tablet" "notebook" "reading room*"] => [Workstation 6.0];

    // Care.
    ["infusion*" "infus" "syringe pump*" "pca pump*" "alaris*" "infusomat*" "perfusor*" "spacecom*" "agilia*" "volumat*" "medfusion*" "plum 360*" "lifecare pca*" "sigma spectrum*" "spectrum iq*" "carefusion pc*" "guardrails*" "cadd-*" "cadd solis*" "syramed*"] => [InfusionPump 7.0, DeviceGateway 0.5];
    ["pumps"] => [InfusionPump 2.0, ClinicalSystem 2.0];
    ["*pump" "pcu"] => [InfusionPump 5.5, BuildingControl 2.5];
    ["patient monitor*" "bedside monitor*" "vital signs*" "vitalsigns*" "intellivue*" "carescape b###*" "carescape monitor*" "dash 3000*" "dash 4000*" "dash 5000*" "infinity delta*" "infinity acute*" "benevision n*" "cms8000*" "connex" "propaq*" "physiological monitor*" "physiomonitor*" "patientmonitor*" "sdc monitor*"] => [PatientMonitor 7.0];
    ["monitor" "mon"] => [PatientMonitor 3.5, Workstation 1.0, CentralStation 1.0];
    ["carescape*" "*mindray*monitor*"] => [PatientMonitor 4.0, CentralStation 2.0, DeviceGateway 1.5, Telemetry 1.0];
    ["central station*" "centralstation*" "central monitor*" "information center*" "pic ix*" "piic*" "cic pro*" "xhibit*" "benevision cms*" "central-station*" "nurse station" "cns-####*"] => [CentralStation 7.0];
    ["ventilator*" "evita infinity*" "babylog*" "servo-i*" "servo-u*" "servo-n*" "hamilton-c#*" "hamilton-g#*" "hamilton c#*" "hamilton g#*" "hamilton-t1*" "hamilton-mr1*" "puritan bennett*" "pb980*" "pb840*" "oxylog*" "carescape r860*" "elisa 800*" "fabian hfo*" "respirator*" "fleximag*"] => [Ventilator 7.0];
    // Names of people, places and gods as well.
    ["evita" "savina" "bellavista" "fabian"] => [Ventilator 3.5];
    ["perseus" "primus" "fabius"] => [AnaesthesiaMachine 3.5];
    ["centaur"] => [LabAnalyser 3.5];
    ["vent"] => [Ventilator 4.5, BuildingControl 2.0];
    ["anesthesia*" "anaesthesia*" "anesthetic*" "anaesthetic*" "aisys*" "zeus ie*" "flow-i*" "flow-c*" "avance cs*" "wato ex*" "aespire*" "aestiva*" "*anesth*"] => [AnaesthesiaMachine 7.0];
    ["dialysis*" "hemodialysis*" "haemodialysis*" "*dialysis" "*dialyse*" "prismaflex*" "prismax*" "multifiltrate*" "dialog+*" "dialog iq*" "dialogiq*" "5008 cordiax*" "artis physio*" "surdial*"] => [Dialysis 7.0];
    ["biosensor*"] => [Telemetry 5.5, Sensor -6.0];
    ["telemetry*" "telem" "apexpro*" "centrak*" "ekahau*" "aeroscout*" "holter" "wearable monitor*" "rtls"] => [Telemetry 7.0];
    ["pyxis*" "omnicell*" "medstation*" "accudose*" "acudose*" "medication cabinet*" "medcabinet*" "dispensing cabinet*" "anesthesia station" "automated dispensing*" "medicationcabinet*"] => [MedicationCabinet 7.0];
    ["cabinet"] => [MedicationCabinet 4.0];
    // Above what decides: nothing else is called so, and two thirds of it must do in a host name.
    ["nurse call*" "nursecall*" "nurse-call*" "rauland*" "responder 5*" "responder 4*" "navicare*" "austco*" "tektone*" "unite cm*" "schwesternruf*" "code blue"] => [NurseCall 8.5];
    ["glucometer*" "glucose*" "accu-chek*" "accuchek*" "inform ii*" "statstrip*" "precision web*" "poct*" "point-of-care*" "point of care*" "gluco*" "freestyle precision*" "i-stat*" "dca vantage*" "epoc reader*"] => [GlucoseGateway 6.5, LabAnalyser 2.0];
    ["blood gas*" "bloodgas*" "rapidpoint*" "rp500*" "rp400*" "abl90*" "abl800*" "gem premier*" "gem####*" "gem ####*" "cobas b ###*"] => [LabAnalyser 4.0, GlucoseGateway 6.5];
    ["analyser*" "analyzer*" "cobas c*" "cobas e*" "cobas pro*" "architect i####*" "architect c####*" "atellica*" "advia*" "vitros*" "sysmex*" "xn-####*" "alinity*" "unicel*" "dxh ###*" "dxh###*" "au5800*" "au680*" "hematology*" "haematology*" "coagulation*" "immunoassay*"] => [LabAnalyser 7.0];
    ["device gateway*" "serial server*" "serial device server*" "device server*" "terminal server*" "nport*" "moxa*" "lantronix*" "xport" "portserver*" "connectport*" "digi one*" "ser2net*" "neuron*" "capsule*" "datacaptor*" "mobilelink*" "bedside hub*" "isirona*" "medibus gateway*" "gateway workstation*" "connectivity engine*"] => [DeviceGateway 7.0];
    ["dock" "*dock" "docking station*" "spacestation*"] => [DeviceGateway 5.0, GlucoseGateway 1.5];
    ["mirth*" "cloverleaf*" "rhapsody*" "interface engine*" "integration engine*" "epic" "cerner*" "meditech*" "openemr*" "hl7 engine*" "hapi fhir*" "worklist server*" "interfaceengine*"] => [ClinicalSystem 6.5];
    ["ris" "lis" "emr" "ehr"] => [ClinicalSystem 5.0];
    ["engine"] => [ClinicalSystem 2.0];
    ["pacs*" "*pacs" "vna" "orthanc*" "dcm4chee*" "conquest*" "image archive*" "dicom archive*" "dicom server*"] => [Pacs 6.5];
    ["archive" "storescp" "store scp"] => [Pacs 3.5];
    ["ultrasound*" "x-ray*" "xray*" "radiography*" "mammograph*" "tomograph*" "somatom*" "magnetom*" "acuson*" "logiq*" "vivid e*" "voluson*" "epiq*" "affiniti*" "ingenia*" "brightspeed*" "lightspeed*" "aquilion*" "revolution ct*" "optima ct*" "signa hdx*" "signa artist*" "signa premier*" "signa pet*" "digitaldiagnost*" "vscan*" "c-arm*" "ziehm*" "mobilett*" "modality" "ct scanner*" "mr scanner*" "mri scanner*" "aview*" "abox*"] => [ImagingModality 6.5];
    ["scanner"] => [ImagingModality 3.5, Printer 3.0];
}
