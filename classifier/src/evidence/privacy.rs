//! Conversations full of what may never leave them go through the reader whole.

use proptest::prelude::*;

use super::testing::{Tcp, Udp, read};
use super::{Limits, Reader};

/// Names, numbers and dates of people in the conversations below.
const PERSONAL: &[&str] = &[
    "DOE",
    "JANE",
    "JOHN",
    "PATIENT",
    "PHYSICIAN",
    "TEST0001",
    "MRN4711",
    "19700101",
    "555-0199",
    "Elm Street",
    "POLICY99",
    "ACC0001",
    "nurse7",
];

const ADT: &[u8] =
    b"\x0bMSH|^~\\&|ADT1|HOSPITAL|ENGINE|HOSPITAL|20250101||ADT^A01^ADT_A01|7|P|2.5.1\r\
EVN|A01|20250101|||nurse7\r\
PID|1||MRN4711^^^HOSPITAL^MR~TEST0001||DOE^JANE^A||19700101|F|||1 Elm Street^^X||555-0199\r\
NK1|1|DOE^JOHN|SPO|1 Elm Street|555-0199\r\
PV1|1|I|ICU^12||||7^PHYSICIAN^TEST\r\
IN1|1|POLICY99|INS|INSURER||||||||||DOE^JANE|SEL|19700101\r\x1c\r";
/// Taken for one segment, the patient's name would stand in the header's field 21.
const ORU_WITH_LINE_FEEDS: &[u8] =
    b"MSH|^~\\&|MON1|WARD|ENGINE|HOSPITAL|20250101||ORU^R01|8|P|2.6||||\n\
PID|1||MRN4711||DOE^JANE||19700101\nOBX|1|NM|147842||72\r";
/// A pump's observation, with the patient where values are and where a code should be.
const OBSERVATION: &[u8] =
    b"\x0bMSH|^~\\&|PUMP1|WARD|ENGINE|HOSPITAL|20250101||ORU^R01^ORU_R01|9|P|2.6\r\
PID|||MRN4711^^^WARD^MR||DOE^JANE^A||19700101\rPV1||I|ICU^12||||7^PHYSICIAN^TEST\r\
OBX|1||69985^MDC_DEV_PUMP_INFUS_MDS^MDC|1.0.0.0|DOE^JANE||||||X|||||nurse7\r\
OBX|2|PN|67883^MDC_ATTR_PT_NAME^MDC|1.0.0.1|DOE^JANE||||||R\r\
OBX|3|ST|TEST0001^DOE^MDC|1.0.0.2|MRN4711||||||R\r\x1c\r";
const ACK: &[u8] = b"\x0bMSH|^~\\&|ENGINE|HOSPITAL|ADT1|HOSPITAL|20250101||ACK|9|P|2.5.1\r\
MSA|AA|7\rPID|1||MRN4711||DOE^JANE\r\x1c\r";
const ASTM: &[u8] = b"\x05\x021H|\\^&|||ANALYSER^1|||||LIS||P|LIS2-A|20250101120000\r\x0355\r\n\
\x022P|1|MRN4711|TEST0001||DOE^JANE||19700101|F\r\x03A2\r\n\
\x023O|1|ACC0001||^^^GLU|R||||||||||PHYSICIAN\r\x03A2\r\n\x04";
const ASTM_QUERY: &[u8] =
    b"\x06\x06\x05\x021H|\\^&|||LIS\r\x0355\r\n\x022P|1||TEST0001||DOE^JANE\r\x03A2\r\n";
const POCT: &[u8] =
    br#"<HEL.R01><HDR><HDR.control_id V="1"/></HDR><DEV><DEV.vendor_id V="W"/></DEV>
</HEL.R01><OBS.R01><HDR><HDR.control_id V="2"/></HDR><SVC><PT><PT.patient_id V="TEST0001"/>
<PT.name V="DOE^JANE"/><PT.birth_date V="19700101"/></PT><OPR><OPR.operator_id V="nurse7"/></OPR>
</SVC></OBS.R01>"#;
const POCT_ANSWER: &[u8] = br#"<ACK.R01><HDR><HDR.control_id V="1"/></HDR></ACK.R01>
<PTL.R01><HDR/><PT><PT.patient_id V="TEST0001"/><PT.name V="DOE^JANE"/></PT></PTL.R01>"#;

/// A CT image on its way, with the patient in its data set.
const STORE: &[u8] = include_bytes!("parsers/clinical/testdata/dcmtk_store.bin");
const STORE_ACCEPT: &[u8] = include_bytes!("parsers/clinical/testdata/pynetdicom_store_accept.bin");

/// Both directions, and the server's port.
const TALKS: &[(&[u8], &[u8], u16)] = &[
    (ADT, ACK, 2575),
    (ORU_WITH_LINE_FEEDS, ACK, 6661),
    (OBSERVATION, ACK, 2575),
    (ASTM, b"\x06\x06\x06\x06", 5000),
    (ASTM, ASTM_QUERY, 5000),
    (POCT, POCT_ANSWER, 3001),
    (STORE, STORE_ACCEPT, 104),
];

/// A query's answer: a data set with a patient in it, behind the acceptance.
fn with_answer(accept: &[u8]) -> Vec<u8> {
    let data = b"\x04\0\0\0\0\x3a\0\0\0\x36\x01\x02\x10\0\x10\0PN\x08\0DOE^JANE\
\x10\0\x20\0LO\x08\0TEST0001\x10\0\x30\0DA\x08\x0019700101";
    [accept, data].concat()
}

fn assert_impersonal(told: &[String]) {
    for line in told {
        let found = PERSONAL.iter().find(|word| line.contains(**word));
        assert_eq!(found, None, "{line}");
    }
}

proptest! {
    /// Whole or from anywhere, in pieces of any length, to a usual port or another.
    #[test]
    fn no_fact_of_a_conversation_names_a_person(
        talk in prop::sample::select(TALKS),
        from in any::<prop::sample::Index>(),
        begun in any::<bool>(),
        piece in 1usize..400,
        usual in any::<bool>(),
    ) {
        let (client, server, port) = talk;
        let server = if port == 104 { with_answer(server) } else { server.to_vec() };
        let start = if begun { 0 } else { from.index(client.len()) };
        let tcp = Tcp::new(40_000, if usual { port } else { 9 });
        let mut reader = Reader::new(Limits::default());
        if begun {
            read(&mut reader, &tcp.syn());
            read(&mut reader, &tcp.syn_ack());
        }
        let pieces = client[start..].chunks(piece).zip((0u32..).step_by(piece));
        for (bytes, offset) in pieces {
            assert_impersonal(&read(&mut reader, &tcp.client(offset, bytes)));
        }
        let start = if begun { 0 } else { from.index(server.len()) };
        let pieces = server[start..].chunks(piece).zip((0u32..).step_by(piece));
        for (bytes, offset) in pieces {
            assert_impersonal(&read(&mut reader, &tcp.server(offset, bytes)));
        }
        assert_impersonal(&read(&mut reader, &tcp.reset()));
    }

    /// The same bytes as datagrams, which nobody should take for anything.
    #[test]
    fn no_fact_of_a_datagram_names_a_person(
        talk in prop::sample::select(TALKS),
        from in any::<prop::sample::Index>(),
        port in prop::sample::select(vec![9u16, 53, 161, 1900, 3702, 5060, 5353, 7000, 24_105, 47_808]),
    ) {
        let udp = Udp::new(40_000, port);
        let mut reader = Reader::new(Limits::default());
        let bytes = &talk.0[from.index(talk.0.len())..];
        let bytes = &bytes[..bytes.len().min(1_400)];
        for frame in [udp.client(bytes), udp.server(bytes), udp.group(bytes)] {
            assert_impersonal(&read(&mut reader, &frame));
        }
    }
}

/// The words above are in the conversations, or the tests would show nothing.
#[test]
fn the_conversations_do_name_people() {
    let all: Vec<u8> = TALKS
        .iter()
        .flat_map(|(c, s, _)| [*c, *s].concat())
        .collect();
    let all = String::from_utf8_lossy(&all);
    for word in PERSONAL {
        assert!(all.contains(word), "{word}");
    }
}
