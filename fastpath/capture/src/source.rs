//! Bytes of a capture with their position, fetched record by record into one bounded buffer.

use std::io::{self, Read};

use crate::{Error, ErrorKind};

/// A byte stream that knows where it is.
pub(crate) struct Source<R> {
    input: R,
    /// Position of the next byte of `input`.
    offset: u64,
    /// The record at hand.
    record: Vec<u8>,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            record: Vec::with_capacity(4096),
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn record(&self) -> &[u8] {
        &self.record
    }

    /// An error at the beginning of the record at hand.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error {
            offset: self.offset - self.record.len() as u64,
            kind,
        }
    }

    /// Begins a new record with its first `len` bytes. `Ok(false)` at the end of the input.
    pub(crate) fn begin(&mut self, len: usize, what: &'static str) -> Result<bool, Error> {
        self.record.clear();
        match self.fill(len)? {
            0 if len > 0 => Ok(false),
            got => self.whole(got, len, what).map(|()| true),
        }
    }

    /// Appends `len` bytes to the record at hand.
    pub(crate) fn extend(&mut self, len: usize, what: &'static str) -> Result<(), Error> {
        let got = self.fill(len)?;
        self.whole(got, len, what)
    }

    /// Passes over `len` bytes without keeping them.
    pub(crate) fn skip(&mut self, len: u64, what: &'static str) -> Result<(), Error> {
        let start = self.offset - self.record.len() as u64;
        let passed = io::copy(&mut self.input.by_ref().take(len), &mut io::sink())
            .map_err(|e| self.error(e.into()))?;
        self.offset += passed;
        if passed < len {
            let missing = len - passed;
            return Err(Error {
                offset: start,
                kind: ErrorKind::Truncated { what, missing },
            });
        }
        // The record's bytes are no longer contiguous with what follows.
        self.record.clear();
        Ok(())
    }

    fn whole(&self, got: usize, wanted: usize, what: &'static str) -> Result<(), Error> {
        if got == wanted {
            return Ok(());
        }
        let missing = (wanted - got) as u64;
        Err(self.error(ErrorKind::Truncated { what, missing }))
    }

    /// Reads up to `len` bytes behind the record; fewer only at the end of the input.
    fn fill(&mut self, len: usize) -> Result<usize, Error> {
        let start = self.record.len();
        self.record.resize(start + len, 0);
        let mut got = 0;
        while got < len {
            match self.input.read(&mut self.record[start + got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    return Err(Error {
                        offset: self.offset + got as u64,
                        kind: e.into(),
                    });
                }
            }
        }
        self.record.truncate(start + got);
        self.offset += got as u64;
        Ok(got)
    }
}
