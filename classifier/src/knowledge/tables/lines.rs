//! How makers designate the models of a kind. From their catalogues and manuals; a designation
//! stands in a host name that the device came with, so it keeps most of its weight there.

use super::Line;

lines! {
    "D-Link", "network cameras" ["dcs-###*"] => [Camera 7.5];
    "D-Link", "smart plugs" ["dsp-w###*"] => [Plug 7.5];
    "D-Link", "home hubs" ["dch-g###*"] => [Hub 7.5];
    "D-Link", "motion and water sensors" ["dch-s15#*" "dch-s16#*" "dch-z1##*"] => [Sensor 7.5];
    "D-Link", "sirens" ["dch-s22#*"] => [Iot 5.0, Sensor 4.5];
    "D-Link", "routers and access points" ["dir-###*" "dap-####*" "dgs-####*" "des-####*" "dwr-###*"] => [NetworkInfrastructure 7.5];
    "D-Link", "video recorders" ["dnr-###*"] => [Workstation 2.0, Camera 2.0];
    "TP-Link", "smart plugs" ["hs10#" "hs11#" "hs300" "kp10#" "kp11#" "kp12#" "kp303" "kp400" "ep10" "ep25" "tapo p1##*" "tapo_p1##*" "tapo p300*"] => [Plug 7.5];
    "TP-Link", "light switches" ["hs2##" "es20#" "tapo s5##*"] => [Iot 6.5, Plug 2.0];
    "TP-Link", "lamps" ["lb1##" "lb2##" "kl1##" "kl4##" "kl5#" "tapo l5##*" "tapo l9##*"] => [Iot 7.5];
    "TP-Link", "cameras" ["nc2##" "nc450" "kc1##" "kc2##" "kc4##" "tapo c###*" "tapo_c###*"] => [Camera 7.5];
    "TP-Link", "hubs" ["tapo h1##*" "kh100*"] => [Hub 7.5];
    "TP-Link", "routers and switches" ["archer *" "archer_*" "tl-wr###*" "tl-sg###*" "tl-wa###*" "eap###"] => [NetworkInfrastructure 7.5];
    "Edimax", "network cameras" ["ic-####*" "ic-##*"] => [Camera 7.0];
    "Edimax", "smart plugs" ["sp-1101w*" "sp-2101w*" "sp-####w*"] => [Plug 7.5];
    "Edimax", "routers" ["br-####*"] => [NetworkInfrastructure 7.0];
    "Philips", "hue bridges" ["bsb00#*" "philips hue" "philips-hue*" "huebridge*"] => [Hub 7.5];
    "OSRAM", "Lightify gateways" ["lightify*"] => [Hub 7.5];
    "IKEA", "radio hubs" ["tradfri gateway*" "gw2-*" "dirigera*"] => [Hub 7.5];
    "Samsung", "SmartThings hubs" ["smartthings hub*" "sthub*" "st-hub*"] => [Hub 7.5];
    "eQ-3", "radio hubs" ["ccu2*" "ccu3*" "max! cube*" "hmip-hap*" "hm-cfg-lan*" "hm-lgw*" "keq#######*" "meq#######*" "jeq#######*" "leq#######*" "neq#######*" "oeq#######*"] => [Hub 5.5];
    "Aqara", "radio hubs" ["lumi-gateway*" "lumi_gateway*" "aqara hub*"] => [Hub 7.5];
    "Withings", "scales" ["wbs0#*" "wbs##*"] => [Scale 7.0];
    "Fitbit", "scales" ["aria" "aria#" "aria air*"] => [Scale 4.0];
    "Smarter", "kettles and coffee machines" ["ikettle*" "smarter coffee*" "smartercoffee*" "smarter-*"] => [Appliance 7.5];
    "Shelly", "plugs" ["shellyplug*" "shellyplusplug*"] => [Plug 7.5];
    "Shelly", "sensors" ["shellyht*" "shellyflood*" "shellymotion*" "shellydw*" "shellysmoke*"] => [Sensor 7.5];
    "Shelly", "relays and lights" ["shelly1*" "shelly2*" "shellyplus1*" "shellyplus2*" "shellypro*" "shellybulb*" "shellyrgbw*" "shellydimmer*" "shellyvintage*"] => [Iot 6.5, Plug 2.0];
    "Sonoff", "plugs and switches" ["sonoff s#*" "sonoff-s#*" "s20 smart*"] => [Plug 5.0, Iot 4.0];
    "Meross", "plugs" ["mss###*"] => [Plug 7.0];
    "Hikvision", "cameras" ["ds-2cd*" "ds-2de*" "ids-2cd*"] => [Camera 7.5];
    "Dahua", "cameras" ["ipc-h*" "dh-ipc*" "dh-sd*"] => [Camera 7.5];
    "Axis", "cameras" ["axis m####*" "axis p####*" "axis q####*" "axis-00408c*" "axis-accc8e*" "axis-b8a44f*"] => [Camera 6.8, DoorControl 1.5];
    "Axis", "door controllers" ["axis a1###*"] => [DoorControl 7.5];
    "Ubiquiti", "cameras" ["uvc-*" "uvc g#*" "g3-flex*" "g4-bullet*"] => [Camera 7.5];
    "Ubiquiti", "access points and switches" ["uap-*" "usw-*" "us-8-*" "us-24-*" "us-48-*" "udm*" "usg*"] => [NetworkInfrastructure 7.5];
    "Wyze", "cameras" ["wyzecam*" "wyze cam*" "wyze_cake*" "wyzec1*"] => [Camera 7.5];
    "Foscam", "cameras" ["fi89##*" "fi98##*"] => [Camera 7.5];
    "Reolink", "cameras" ["rlc-###*"] => [Camera 7.5];
    "Netatmo", "weather stations" ["netatmo weather*" "nws0#*"] => [Sensor 7.0];
    "Zebra", "label printers" ["zt4##*" "zd4##*" "zd6##*" "zd5##*" "gk420*" "gx430*" "zq6##*" "gc420*"] => [Printer 7.0];
    "Hewlett-Packard", "printers" ["^npi######*"] => [Printer 5.0];
    "Brother", "printers" ["^brn############*" "^brw############*" "hl-####*" "mfc-####*" "dcp-####*"] => [Printer 7.0];
    "Epson", "printers" ["et-####*" "wf-####*" "xp-###*" "tm-t##*"] => [Printer 6.0];
    "Cisco", "telephones" ["cp-78##*" "cp-79##*" "cp-88##*" "cp-68##*" "^sep############"] => [Phone 7.5];
    "Polycom", "telephones" ["vvx *" "vvx_*" "vvx###*" "vvx-*" "soundstation*"] => [Phone 7.5];
    "Yealink", "telephones" ["sip-t##*" "t46s*" "t48s*"] => [Phone 7.5];
    "Philips", "patient monitors" ["mx#00" "mx#50" "mp#0" "m8000a*" "m3046a*"] => [PatientMonitor 3.5];
    "GE", "patient monitors" ["b450" "b650" "b850" "b125"] => [PatientMonitor 3.0];
    "Mindray", "patient monitors" ["imec #*" "imec#*" "umec #*" "umec#*" "epm ##*" "benevision n##*"] => [PatientMonitor 6.5];
    "Draeger", "ventilators" ["evita v###*" "evita infinity*" "vn#00" "v#00 ventilator*"] => [Ventilator 6.5];
    "Draeger", "anaesthesia machines" ["perseus a500*" "atlan a###*" "primus ie*"] => [AnaesthesiaMachine 7.0];
    "GE", "anaesthesia machines" ["aisys cs*" "carestation 6##*" "carestation 7##*"] => [AnaesthesiaMachine 7.0];
    "Mindray", "anaesthesia machines" ["wato ex*" "a5 anesth*" "a7 anesth*" "a8 anesth*" "a9 anesth*"] => [AnaesthesiaMachine 7.0];
    "Fresenius", "dialysis machines" ["5008s*" "6008 cares*" "4008s*"] => [Dialysis 6.5];
    "BD", "infusion pumps" ["8015 pc*" "alaris 8015*" "pcu 8015*" "neo##### pcu*"] => [InfusionPump 7.5];
}
