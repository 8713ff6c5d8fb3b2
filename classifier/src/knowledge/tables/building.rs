//! Cameras, doors, heating and power: protocols with a meaning of their own.

use super::{HANDS, NOBODY, Rule, THINGS};

rules! {
    [BacnetVendor] ["^*"] => [BuildingControl 7.5] not HANDS,
        Strong, "Says it is a BACnet device of vendor {}", "ASHRAE 135";
    [BacnetObject] ["^*"] => [BuildingControl 7.0] not HANDS,
        Strong, "Describes itself as '{}' in BACnet", "ASHRAE 135";
    [Client Server] ["^bacnet*"] => [BuildingControl 6.8] not NOBODY,
        Medium, "Speaks BACnet, the language of buildings", "ASHRAE 135";
    [ModbusIdentity] ["^*"] => [BuildingControl 6.0, DeviceGateway 1.0] not HANDS,
        Strong, "Says '{}' in Modbus", "Modbus application protocol 6.21";
    [Server] ["^modbus*"] => [BuildingControl 5.5, DeviceGateway 1.5] not NOBODY,
        Medium, "Answers Modbus, as controllers, meters and power supplies do", "Modbus application protocol";
    [Client] ["^modbus*"] => [BuildingControl 4.5] not NOBODY,
        Medium, "Asks others in Modbus, as building management does", "Modbus application protocol";
    [Client Server] ["^knx*" "^lon*" "^opcua$" "^opc-ua$" "^s7*" "^enip$"] => [BuildingControl 5.5] not NOBODY,
        Medium, "Speaks {}, a language of buildings and plants", "EN 50090; IEC 62541";

    // Cameras.
    [WsdTypes] ["network video transmitter" "*networkvideotransmitter"] => [Camera 8.0] not HANDS,
        Strong, "Announces itself as a camera (ONVIF)", "ONVIF core specification 7.3";
    [WsdScopes] ["onvif.org*video_encoder" "*onvif.org/type/*" "*onvif.org*"] => [Camera 6.5] not HANDS,
        Strong, "Announces ONVIF scopes ({})", "ONVIF core specification 7.3";
    [WsdProbes] ["network video transmitter" "*networkvideotransmitter"] => [Workstation 2.0, NetworkInfrastructure 0.5] not NOBODY,
        Weak, "Looks for cameras around it (ONVIF)", "ONVIF core specification 7.3";
    [Server] ["^rtsp$"] => [Camera 6.0, Iot 1.0] not HANDS,
        Medium, "Serves live video (RTSP)", "RFC 2326";
    [RtspServer] ["^*"] => [Camera 6.0, Iot 1.0] not HANDS,
        Medium, "Serves live video ('{}')", "RFC 2326";
    [Client] ["^rtsp$"] => [Workstation 2.0, Camera -2.0] not NOBODY,
        Medium, "Watches live video, as recorders and viewers do", "RFC 2326";
    [SsdpType SsdpUsn] ["*digitalsecuritycamera*" "hnap:networkcamera*" "*:networkcamera*" "*ipcamera*"] => [Camera 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP", "UPnP DigitalSecurityCamera:1";
    [MdnsService] ["_axis-video._tcp*" "_psia._tcp*" "_cgi._tcp*" "_onvif._tcp*" "_rtsp._tcp*"] => [Camera 7.0] not HANDS,
        Strong, "Announces {} in mDNS, as cameras do", "RFC 6763 register";
    [HttpServer] ["app-webs*" "dnvrs-webs*" "*hikvision*" "*dahua*" "ipcamera*" "netwave*" "camera-web*"] => [Camera 6.8] not HANDS,
        Medium, "Its web server is '{}', that of cameras", "RFC 9110 10.2.4, observed";
    [HttpRealm] ["axis_*" "ip camera*" "dcs-*" "netcam*" "ipcam*"] => [Camera 7.0] not HANDS,
        Medium, "Its web server asks to log in to '{}'", "RFC 9110 11.5, observed";
    [HttpServer] ["goahead-webs" "boa*" "thttpd*"] => [Camera 0.7, NetworkInfrastructure 0.5, Hub 0.3, Plug 0.3] not HANDS,
        Weak, "Its web server is '{}', a small one for devices", "observed";

    // Doors.
    [Client Server] ["^osdp*" "^vertx$"] => [DoorControl 6.5] not NOBODY,
        Medium, "Speaks {}, as door controllers do", "SIA OSDP";
    [OpaqueClient OpaqueServer] ["^udp/4070$" "^tcp/4070$" "^tcp/4050$"] => [DoorControl 3.0] not NOBODY,
        Weak, "Uses {}, as HID door controllers do", "IANA; domain notes 1b";
    [OpaqueClient] ["^tcp/3001$"] => [DoorControl 1.0, GlucoseGateway 1.0] not NOBODY,
        Weak, "", "domain notes 1b, POCT1-A captures";
    [Server Client] ["^upsd*" "^nut$" "^apcupsd$"] => [BuildingControl 4.0] not THINGS,
        Medium, "Speaks {}, as power supplies do", "RFC 9271";
}
