//! Things of a building: what they announce and whom they report to.

use super::{HANDS, NOBODY, Rule};

rules! {
    // HomeKit accessories say their category.
    [MdnsText] ["^ci=2$"] => [Hub 7.5] not HANDS,
        Strong, "Says it is a bridge in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=7$"] => [Plug 8.0] not HANDS,
        Strong, "Says it is an outlet in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=10$"] => [Sensor 8.0] not HANDS,
        Strong, "Says it is a sensor in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=17$" "^ci=18$"] => [Camera 8.0] not HANDS,
        Strong, "Says it is a camera in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=6$" "^ci=12$" "^ci=4$"] => [DoorControl 6.5, Iot 2.0] not HANDS,
        Strong, "Says it is a lock or door in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=9$" "^ci=20$" "^ci=21$"] => [BuildingControl 5.5, Appliance 4.5] not HANDS,
        Strong, "Says it heats or cools in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=19$" "^ci=22$" "^ci=23$" "^ci=3$"] => [Appliance 6.0, Iot 3.0] not HANDS,
        Strong, "Says it is a household machine in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsText] ["^ci=5$" "^ci=8$" "^ci=15$" "^ci=14$" "^ci=31$" "^ci=11$" "^ci=26$"] => [Iot 6.5, Plug 2.0] not HANDS,
        Strong, "Says it is a thing of the house in HomeKit ({})", "HomeKit accessory protocol R2 13-1";
    [MdnsService] ["_hap._tcp*" "_hap._udp*"] => [Hub 1.5, Plug 1.5, Iot 1.5, Sensor 1.0, Camera 1.0, Appliance 0.5] not HANDS,
        Medium, "Announces a HomeKit accessory", "RFC 6763 register";

    // Services of one kind of thing.
    [MdnsService] ["_hue._tcp*" "_leap._tcp*" "_lutron._tcp*" "_ihap-br*" "_meshcop._udp*" "_zigbee*" "_deconz._tcp*" "_miio-gateway*"] =>
        [Hub 7.0] not HANDS,
        Strong, "Announces {} in mDNS, as hubs of radio devices do", "RFC 6763 register; Thread 1.1 8.4.1";
    [MdnsService] ["_googlecast._tcp*" "_raop._tcp*" "_airplay._tcp*" "_spotify-connect._tcp*" "_amzn-wplay._tcp*" "_sonos._tcp*" "_roku*" "_androidtvremote*" "_nanoleaf*" "_wled._tcp*" "_elg._tcp*"] =>
        [Iot 6.5, Workstation 1.0] not NOBODY,
        Medium, "Announces {} in mDNS, as speakers, screens and lights do", "RFC 6763 register";
    [MdnsService] ["_ewelink._tcp*" "_shelly._tcp*" "_esphomelib._tcp*" "_miio._udp*" "_matter._tcp*" "_matterc._udp*" "_tplink*" "_arduino._tcp*" "_tasmota*"] =>
        [Iot 3.0, Plug 2.5, Sensor 1.5, Hub 1.0] not HANDS,
        Medium, "Announces {} in mDNS, as things do", "RFC 6763 register";
    [SsdpType SsdpUsn] ["belkin:device:controllee*" "belkin:device:insight*" "^socket-#_#*" "^insight-#_#*" "*uuid:socket-*" "*uuid:insight-*" "belkin:device:outdoor*"] =>
        [Plug 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP: a switchable plug of Belkin", "Belkin WeMo UPnP types";
    [SsdpType SsdpUsn] ["belkin:device:bridge*" "*uuid:bridge-#*"] => [Hub 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP: a bridge of Belkin", "Belkin WeMo UPnP types";
    [SsdpType SsdpUsn] ["belkin:device:sensor*" "*uuid:sensor-#*"] => [Sensor 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP: a sensor of Belkin", "Belkin WeMo UPnP types";
    [SsdpType SsdpUsn] ["belkin:device:netcam*"] => [Camera 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP: a camera of Belkin", "Belkin WeMo UPnP types";
    [SsdpType SsdpUsn] ["belkin:device:lightswitch*" "belkin:device:dimmer*" "*uuid:lightswitch-*"] => [Iot 7.0, Plug 2.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP: a light switch of Belkin", "Belkin WeMo UPnP types";
    [SsdpType SsdpUsn] ["belkin:device:crockpot*" "belkin:device:coffeemaker*" "belkin:device:heater*" "belkin:device:humidifier*" "belkin:device:airpurifier*"] =>
        [Appliance 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP: a household machine", "Belkin WeMo UPnP types";
    [SsdpType SsdpUsn] ["device:binarylight*" "device:dimmablelight*" "device:mediarenderer*" "device:zoneplayer*" "dial-multiscreen-org*" "roku:ecp*" "device:tvdevice*"] =>
        [Iot 6.5, Workstation 1.0] not NOBODY,
        Medium, "Announces itself as '{}' in SSDP", "UPnP device control protocols";
    [SsdpType SsdpUsn] ["device:mediaserver*"] => [Workstation 2.5, Iot 2.0, NetworkInfrastructure 1.5] not NOBODY,
        Weak, "Announces itself as '{}' in SSDP", "UPnP MediaServer:1";
    [SsdpType SsdpUsn] ["device:hvac*" "device:solarprotectionblind*"] => [BuildingControl 6.5] not HANDS,
        Strong, "Announces itself as '{}' in SSDP", "UPnP HVAC:1";
    [SsdpType SsdpUsn] ["device:sensormanagement*"] => [Sensor 5.0, Hub 3.0] not HANDS,
        Medium, "Announces itself as '{}' in SSDP", "UPnP SensorManagement:1";
    [SsdpServer] ["ipbridge*"] => [Hub 7.0] not HANDS,
        Strong, "Says it is the bridge '{}' in SSDP", "Philips hue developer notes";
    [Server] ["^mqtt$"] => [NetworkInfrastructure 1.0, Hub 1.0, ClinicalSystem 0.5] not NOBODY,
        Weak, "Passes on messages of others (MQTT)", "OASIS MQTT 3.1.1";
    [Client] ["^mqtt$"] => [Iot 1.0, Sensor 0.7, Plug 0.5, Hub 0.5] not NOBODY,
        Weak, "Speaks MQTT, as things do", "OASIS MQTT 3.1.1";
    [Client Server] ["^coap*"] => [Iot 1.0, Sensor 1.0, Plug 0.5, Hub 0.5] not HANDS,
        Weak, "Speaks CoAP, as small things do", "RFC 7252";

    // The servers of one kind of thing.
    [DnsQuery TlsServerName HttpHost] ["scalews.withings.net" "*scalews.withings*"] => [Scale 5.5] not HANDS,
        Medium, "Reports to {}, the server of Withings scales", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.fitbit.com"] => [Scale 2.5] not NOBODY,
        Weak, "Asks for {}; of Fitbit only scales use the network themselves", "observed";
    [HttpUserAgent DhcpVendorClass] ["withings*"] => [Scale 1.5, Sensor 0.5] not HANDS,
        Weak, "", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.meethue.com" "*.meethue.net" "*discovery.meethue*"] => [Hub 3.0, Phone 1.0] not NOBODY,
        Weak, "Asks for {}, as hue bridges do", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.xbcs.net" "*.lswf.net"] => [Plug 1.5, Hub 0.7, Iot 0.7, Sensor 0.5] not NOBODY,
        Weak, "Asks for {}, the server of Belkin's things", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.tplinkcloud.com"] => [Plug 1.5, Camera 0.7, Iot 0.7, Hub 0.3] not NOBODY,
        Weak, "Asks for {}, the server of TP-Link's things", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.dch.dlink.com"] => [Plug 0.7, Sensor 0.7, Hub 0.7, Iot 0.5] not HANDS,
        Weak, "Asks for {}, the server of D-Link's things", "observed";
    [DnsQuery TlsServerName HttpHost] ["*signal.mydlink.com" "*.auto.mydlink.com"] => [Camera 1.5, Plug 0.5] not NOBODY,
        Weak, "Asks for {}, the server of D-Link's cameras", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.homematic.com" "*.homematic.de" "*.eq-3.de" "*.homematic.net"] => [Hub 4.0] not HANDS,
        Medium, "Asks for {}; of this maker only the radio hubs use the network", "eQ-3 product range";
    [DnsQuery TlsServerName HttpHost] ["*.tuyaeu.com" "*.tuyaus.com" "*.tuyacn.com" "*.tuya.com" "*.iotbing.com" "*.miio*" "*.io.mi.com" "*.ewelink.*" "*.coolkit.*" "*.meross.com" "*.smartthings.com" "*.aylanetworks.com"] =>
        [Iot 2.0, Plug 1.5, Sensor 1.0, Hub 1.0, Appliance 0.5, Camera 0.5] not NOBODY,
        Weak, "Asks for {}, a server of things", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.hik-connect.com" "*.hikvision.com" "*.ezvizlife.com" "*.dahuap2p.com" "*.easy4ip.com" "*.reolink.com" "*.foscam.com" "*.wyzecam.com" "*.arlo.com" "*.arloxcld.com" "*.ring.com" "*.immedia-semi.com" "*.dropcam.com" "*.nest.com" "*.amcrestcloud.com" "*.xmeye.net" "*.vstarcam.com" "*.yitechnology.com" "*.netatmo.net"] =>
        [Camera 2.5, Hub 0.5, Sensor 0.5, DoorControl 0.3] not NOBODY,
        Weak, "Asks for {}, a server of cameras", "observed";
    [DnsQuery TlsServerName HttpHost] ["*.home-connect.com" "*.mieleathome.*" "*.irobotapi.com" "*.irobot.com" "*.lgthinq.com" "*.samsungiotcloud.com" "*.ecovacs.com" "*.dyson.com" "*.smarter.am" "*.anovaculinary.*"] =>
        [Appliance 3.0] not NOBODY,
        Weak, "Asks for {}, a server of household machines", "observed";
    [DhcpHostname] ["^esp_######*" "^esp-######*" "^espressif*" "^esp32*" "^esp8266*" "^hf-lpb*" "^hf-lpt*" "^rtl87*" "^gainspan*" "^gainspanca*" "^wlan0$" "^tasmota*" "^sonoff*"] =>
        [Iot 1.0, Plug 0.7, Appliance 0.5, Sensor 0.5, Hub 0.3] not HANDS,
        Weak, "Is called '{}': the name of a radio module for things", "makers of the modules";
    [DhcpVendorClass] ["^udhcp*"] => [Workstation -1.5] not NOBODY,
        Weak, "Runs a small Linux for devices (its DHCP says '{}')", "BusyBox";
    [OpaqueServer] ["^tcp/62910$"] => [Hub 3.5] not HANDS,
        Medium, "Is called on port 62910, as MAX! heating hubs are", "openHAB MAX! binding";
    [OpaqueServer] ["^tcp/9999$"] => [Plug 1.5, Iot 1.0] not HANDS,
        Weak, "Is called on port 9999, as TP-Link's things are", "softScheck, TP-Link smart home protocol";
    [VendorDiscovery] ["tplink.type=iot.smartplug*"] => [Plug 8.0] not HANDS,
        Strong, "Says it is a smart plug ('{}')", "TP-Link smart home protocol";
    [VendorDiscovery] ["tplink.type=iot.smartbulb*"] => [Iot 8.0] not HANDS,
        Strong, "Says it is a smart light ('{}')", "TP-Link smart home protocol";
    [VendorDiscovery] ["tplink.type=iot.ipcamera*"] => [Camera 8.0] not HANDS,
        Strong, "Says it is a camera ('{}')", "TP-Link smart home protocol";
    [VendorDiscovery] ["^icomen.*"] => [Hub 2.5, Plug 1.0, Iot 1.0] not HANDS,
        Weak, "Talks to iComen's servers, as hubs of radio plugs do", "observed";
    [VendorDiscovery] ["^hi-flying.*"] => [Iot 1.0, Hub 0.7, Plug 0.7] not HANDS,
        Weak, "Has a radio module of Hi-Flying", "Hi-Flying HF-LPB100 manual";
    [VendorDiscovery] ["^wemo.relay*"] => [Plug 1.5, Hub 0.7, Iot 0.7, Sensor 0.5] not HANDS,
        Weak, "Looks for Belkin's relay, as its things do", "observed";
    [VendorDiscovery] ["^edimax.relay*"] => [Plug 1.0, Camera 1.0] not HANDS,
        Weak, "Looks for Edimax' relay, as its things do", "observed";
    [VendorDiscovery] ["^max.*"] => [Hub 6.8] not HANDS,
        Strong, "Speaks the language of MAX! heating hubs", "openHAB MAX! binding";
    [VendorDiscovery] ["^tuya.*"] => [Iot 2.0, Plug 1.5, Sensor 0.5, Hub 0.5, Appliance 0.5] not HANDS,
        Medium, "Speaks the language of Tuya's things", "tinytuya";
}
