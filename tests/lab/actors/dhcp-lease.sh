#!/bin/sh
# Called by udhcpc ($1 is the event) and by dhclient ($reason is the event) with the lease in the
# environment: sets address, default route and name server ($RESOLVER_FILE), and notes the lease
# for the lab ($LEASE_FILE).
event=${reason:-$1}
case $event in
bound | renew | BOUND | RENEW | REBIND | REBOOT)
    address=${new_ip_address:-$ip}
    netmask=${new_subnet_mask:-$subnet}
    gateway=${new_routers:-$router}
    resolver=${new_domain_name_servers:-$dns}
    ip address replace "$address/$netmask" brd + dev "$interface"
    [ -n "$gateway" ] && ip route replace default via "$gateway"
    # Written in place: this file is bound over /etc/resolv.conf in the host's namespace.
    echo "nameserver $resolver" >"$RESOLVER_FILE"
    echo "$event $address" >>"$LEASE_FILE"
    ;;
deconfig | PREINIT)
    ip link set "$interface" up
    ;;
esac
exit 0
