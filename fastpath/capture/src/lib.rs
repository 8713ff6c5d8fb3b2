//! Ethernet capture files: streaming readers of pcap and pcapng, a pcapng writer.
