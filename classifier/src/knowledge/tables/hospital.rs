//! Workstations, printers, telephones and the network itself.

use super::{HANDS, NOBODY, Rule, THINGS};

rules! {
    // The network.
    [Forwards] ["^*"] => [NetworkInfrastructure 8.0] not HANDS,
        Strong, "Carries frames for {} addresses beyond its own, as routers do", "RFC 1812";
    [Server] ["^dhcp$"] => [NetworkInfrastructure 7.5] not THINGS,
        Strong, "Gives out addresses (DHCP)", "RFC 2131";
    [Server] ["^dns$"] => [NetworkInfrastructure 6.8] not NOBODY,
        Medium, "Answers questions for names (DNS)", "RFC 1035";
    [Server] ["^ntp$" "^radius$" "^tacacs$" "^syslog$" "^tftp$"] => [NetworkInfrastructure 3.0] not NOBODY,
        Medium, "Serves {}", "RFC 5905, 2865, 5424";
    [Server] ["^kerberos$" "^ldap$" "^cldap$"] => [NetworkInfrastructure 6.5] not THINGS,
        Medium, "Serves {}, as domain controllers do", "MS-ADTS";
    [LldpCapabilities CdpCapabilities] ["telephone" "phone" "voip*"] => [Phone 8.0, NetworkInfrastructure -4.0] not THINGS,
        Strong, "Tells its switch it is a telephone", "IEEE 802.1AB 8.5.8";
    [LldpCapabilities CdpCapabilities] ["router" "bridge" "switch" "wlan*" "access point" "repeater"] =>
        [NetworkInfrastructure 7.5] not NOBODY,
        Strong, "Tells its neighbours it can be: {}", "IEEE 802.1AB 8.5.8";
    [SsdpType SsdpUsn] ["internet gateway device" "*internetgatewaydevice" "*wanconnectiondevice" "*wandevice" "*wlanaccesspointdevice"] =>
        [NetworkInfrastructure 7.5] not HANDS,
        Strong, "Announces itself as '{}' in SSDP", "UPnP IGD";
    [SipAgent] ["asterisk*" "freeswitch*" "kamailio*" "opensips*" "fpbx*" "3cx*" "cucm*" "cisco-sipgateway*"] =>
        [NetworkInfrastructure 5.0, NurseCall 1.5] not NOBODY,
        Medium, "Switches calls with '{}'", "RFC 3261";

    // Telephones.
    [VendorDiscovery] ["^lldp-med.*"] => [Phone 2.5] not THINGS,
        Weak, "Tells its switch what it is, as telephones do ('{}')", "ANSI/TIA-1057";
    [SipAgent] ["^*"] => [Phone 4.5, NurseCall 2.0] not NOBODY,
        Medium, "", "RFC 3261";
    [Client] ["^sip$"] => [Phone 4.5, NurseCall 2.0] not NOBODY,
        Medium, "Makes telephone calls (SIP)", "RFC 3261";
    [Server] ["^sip$"] => [NetworkInfrastructure 2.5, Phone 2.5] not NOBODY,
        Medium, "Answers telephone calls (SIP)", "RFC 3261";
    [MdnsService] ["_sip._udp*" "_sip._tcp*" "_sips._tcp*"] => [Phone 4.0] not NOBODY,
        Medium, "", "RFC 6763 register";
    [DhcpParameters] ["150"] => [Phone 3.0, NetworkInfrastructure 1.0] not NOBODY,
        Weak, "Asks the DHCP server where its telephone software is (option 150)", "RFC 5859";
    [DhcpHostname MdnsName] ["^sep############*" "^sep*"] => [Phone 3.5] not NOBODY,
        Weak, "Is called '{}', as Cisco telephones are", "Cisco IP phone administration";

    // Computers, tablets and smartphones.
    [DhcpVendorClass] ["^msft*"] => [Workstation 4.0, CentralStation 0.5, MedicationCabinet 0.5] not THINGS,
        Weak, "Runs Windows (its DHCP says '{}')", "MS-DHCPE 2.2.3";
    [DhcpVendorClass] ["android-dhcp*" "^dhcpcd*android*"] => [Phone 4.0, Workstation 3.5] not THINGS,
        Weak, "Runs Android (its DHCP says '{}')", "Android Open Source Project";
    [DhcpParameters] ["^1,3,6,15,31,33,43,44,46,47,119,121,249,252$" "^1,15,3,6,44,46,47,31,33,121,249,43*" "^1,3,6,15,31,33,43,44,46,47,121,249,252*"] =>
        [Workstation 3.0] not NOBODY,
        Weak, "Asks the DHCP server for what Windows asks for", "PacketFence Fingerbank";
    [DhcpParameters] ["^1,121,3,6,15,119,252*" "^1,3,6,15,119,95,252*" "^1,3,6,15,119,252*" "^1,121,3,6,15,108,114,119*"] =>
        [Workstation 2.0, Phone 2.0] not THINGS,
        Weak, "Asks the DHCP server for what Apple devices ask for", "PacketFence Fingerbank";
    [DhcpParameters] ["^1,33,3,6,15,26,28,51,58,59$" "^1,33,3,6,15,28,51,58,59$" "^1,3,6,15,26,28,51,58,59*" "^1,121,33,3,6,28,51,58,59$"] =>
        [Phone 2.5, Workstation 2.0] not THINGS,
        Weak, "Asks the DHCP server for what Android asks for", "PacketFence Fingerbank";
    [HttpUserAgent] ["dalvik" "android" "okhttp" "iphone*" "ipad*" "cfnetwork"] => [Phone 4.0, Workstation 4.0] not THINGS,
        Weak, "Runs the apps of a smartphone or tablet ('{}')", "RFC 9110 10.1.5";
    [HttpUserAgent] ["windows nt" "x11; linux*" "macintosh" "cros" "microsoft-cryptoapi" "microsoft ncsi" "windows-update-agent"] =>
        [Workstation 4.0] not THINGS,
        Weak, "Runs the browser or services of a PC ('{}')", "RFC 9110 10.1.5";
    [DhcpHostname MdnsName] ["^android-*" "^galaxy-*" "^iphone*" "*-iphone" "*s-iphone*" "^pixel-*" "^oneplus*" "^huawei_p*" "^redmi*"] =>
        [Phone 4.0, Workstation 1.5] not THINGS,
        Weak, "Is called '{}', as smartphones are", "PacketFence Fingerbank";
    [DhcpHostname MdnsName SmbName RdpClient] ["^ipad*" "*-ipad" "^desktop-*" "^laptop-*" "^win-*" "*macbook*" "*imac" "*-pc$" "^pc-*" "^pc$" "^pc##*" "*notebook*" "*thinkpad*" "*workstation*" "^ws-*" "^ws##*"] =>
        [Workstation 4.0] not THINGS,
        Weak, "Is called '{}', as computers are", "PacketFence Fingerbank";
    [Client] ["^kerberos$" "^ldap$" "^cldap$"] => [Workstation 3.5, MedicationCabinet 1.5, CentralStation 1.0, ClinicalSystem 1.0] not THINGS,
        Medium, "Logs on to the domain ({})", "MS-ADTS";
    [Client] ["^smb*" "^rdp$" "^msrpc$" "^dcerpc$" "^vnc$"] => [Workstation 3.0, MedicationCabinet 1.0, ClinicalSystem 0.5] not THINGS,
        Medium, "Opens {} conversations, as PCs do", "MS-SMB2, MS-RDPBCGR";
    [Server] ["^smb*"] => [Workstation 1.5, NetworkInfrastructure 1.0, ClinicalSystem 0.5, MedicationCabinet 0.5] not THINGS,
        Weak, "Shares files ({})", "MS-SMB2";
    [Client] ["^tds$"] => [Workstation 1.0, MedicationCabinet 1.5, CentralStation 1.0, ClinicalSystem 1.0] not THINGS,
        Weak, "Uses a database (SQL Server)", "MS-TDS; domain notes, medication cabinets";
    [Server] ["^tds$"] => [ClinicalSystem 3.0, MedicationCabinet 0.5, NetworkInfrastructure 1.0] not THINGS,
        Weak, "Serves a database (SQL Server)", "MS-TDS";
    [Server] ["^rdp$"] => [Workstation 3.0, ClinicalSystem 1.0, CentralStation 0.5] not THINGS,
        Medium, "Can be worked on from afar (RDP)", "MS-RDPBCGR";
    [SmbSystem] ["windows*"] => [Workstation 3.5, MedicationCabinet 0.5, CentralStation 0.5] not THINGS,
        Weak, "Runs '{}'", "MS-SMB";
    [RdpClient] ["^*"] => [Workstation 4.0] not THINGS,
        Medium, "Works on another computer as '{}'", "MS-RDPBCGR";
    [DnsQuery TlsServerName HttpHost] ["*.windowsupdate.com" "*.msftconnecttest.com" "*.msftncsi.com" "*.update.microsoft.com" "*.office365.com" "*.office.com" "*.teams.microsoft.com"] =>
        [Workstation 3.0] not THINGS,
        Weak, "Asks for {}, as Windows does", "Microsoft connection endpoints for Windows";
    [DnsQuery TlsServerName HttpHost] ["mtalk.google.com" "*mtalk.google.com" "mtalk#.google.com" "android.clients.google.com" "*.push.apple.com" "play.googleapis.com" "connectivitycheck.gstatic.com" "captive.apple.com"] =>
        [Phone 1.5, Workstation 1.5] not NOBODY,
        Weak, "Asks for {}, as smartphones and tablets do", "Apple and Google enterprise network notes";
    [WsdTypes] ["computer" "pub:computer*"] => [Workstation 6.0] not THINGS,
        Medium, "Announces itself as a computer", "MS-PBSD";
    [MdnsService] ["_workstation._tcp*" "_rfb._tcp*" "_rdp._tcp*"] => [Workstation 2.5] not NOBODY,
        Weak, "", "RFC 6763 register";
    [MdnsService] ["_companion-link._tcp*" "_apple-mobdev*" "_airdrop*" "_smb._tcp*" "_afpovertcp._tcp*"] =>
        [Workstation 2.0, Phone 1.0] not NOBODY,
        Weak, "", "RFC 6763 register";
    [LldpDescription CdpPlatform SnmpDescription] ["windows" "windows version*"] => [Workstation 3.0, ClinicalSystem 1.0] not THINGS,
        Weak, "", "RFC 1213 sysDescr";

    // Printers.
    [Server] ["^ipp$" "^pjl$" "^jetdirect$" "^lpd$"] => [Printer 6.5] not NOBODY,
        Medium, "Takes print jobs ({})", "RFC 8011; RFC 1179";
    [Client] ["^ipp$" "^pjl$" "^jetdirect$" "^lpd$"] => [Workstation 2.5, ClinicalSystem 1.0] not NOBODY,
        Weak, "Prints ({})", "RFC 8011";
    [IppModel PjlId] ["^*"] => [Printer 8.0] not THINGS,
        Strong, "Says it is the printer '{}'", "PWG 5100.13; HP PJL reference";
    [MdnsService SsdpType] ["_ipp._tcp*" "_ipps._tcp*" "_printer._tcp*" "_pdl-datastream._tcp*" "_privet._tcp*" "_scanner._tcp*" "_uscan._tcp*" "_uscans._tcp*"] =>
        [Printer 6.8, Workstation 1.5] not NOBODY,
        Strong, "Announces a printer ({})", "RFC 6763 register";
    [SsdpType SsdpUsn] ["device:printer*" "device:printerbasic*" "device:scanner*" "*print-enhanced*"] => [Printer 8.0] not HANDS,
        Strong, "Announces itself as '{}' in SSDP", "UPnP Printer:1";
    [WsdTypes] ["print device type" "*printdevicetype" "*scandevicetype" "*printerservicetype"] => [Printer 8.0] not HANDS,
        Strong, "Announces itself as a printer ({})", "MS WS-Print";
    [SnmpObjectId] ["1.3.6.1.4.1.11.2.3.9*" "1.3.6.1.4.1.2435.2.3.9*" "1.3.6.1.4.1.1248.1.1*" "1.3.6.1.4.1.641.*" "1.3.6.1.4.1.367.1.1*" "1.3.6.1.4.1.253.8.62*" "1.3.6.1.4.1.1602.4*" "1.3.6.1.4.1.1347.41*" "1.3.6.1.4.1.10642.*" "1.3.6.1.4.1.2001.1.*" "1.3.6.1.4.1.18334.1.1.*" "1.3.6.1.4.1.236.11.5*"] =>
        [Printer 7.5] not NOBODY,
        Strong, "Its SNMP object identifier {} is that of a printer", "IANA enterprise numbers";
    [SnmpObjectId] ["1.3.6.1.4.1.9.1.*" "1.3.6.1.4.1.2636.1.*" "1.3.6.1.4.1.11.2.3.7*" "1.3.6.1.4.1.25506.1*" "1.3.6.1.4.1.30065.1*" "1.3.6.1.4.1.14988.1*" "1.3.6.1.4.1.14823.1*" "1.3.6.1.4.1.1916.2*" "1.3.6.1.4.1.1991.1*" "1.3.6.1.4.1.12356.*" "1.3.6.1.4.1.25053.3*"] =>
        [NetworkInfrastructure 6.8] not NOBODY,
        Strong, "Its SNMP object identifier {} is that of network equipment", "IANA enterprise numbers";
    [SnmpObjectId] ["1.3.6.1.4.1.8691.2.*" "1.3.6.1.4.1.244.*" "1.3.6.1.4.1.332.11*"] => [DeviceGateway 6.8] not NOBODY,
        Strong, "Its SNMP object identifier {} is that of a serial server", "IANA enterprise numbers, Moxa NPort, Lantronix, Digi";
    [SnmpObjectId] ["1.3.6.1.4.1.368.*"] => [Camera 4.0, DoorControl 1.5] not NOBODY,
        Medium, "", "IANA enterprise numbers, Axis";
    [SnmpObjectId] ["1.3.6.1.4.1.318.1.3*" "1.3.6.1.4.1.534.*" "1.3.6.1.4.1.705.*"] => [BuildingControl 6.5] not NOBODY,
        Medium, "Its SNMP object identifier {} is that of power equipment", "IANA enterprise numbers, APC, Eaton, MGE";
    [Client] ["^snmp$"] => [NetworkInfrastructure 0.5, Workstation 0.5, BuildingControl 0.5] not NOBODY,
        Weak, "Asks other devices over SNMP", "RFC 3411";
}
