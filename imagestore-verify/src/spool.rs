use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    error::VerifyError,
    streaming::{Hashes, RunningCheck, StreamingCheck},
    unverified::Unverified,
    verified::Verified,
};

/// A file that is written and hashed in one pass, and opened when the check holds.
///
/// The bytes that are hashed are those that were handed in, and the file that comes out is the
/// same open handle. Keep it in a directory nobody else can write to: a `Verified<File>` is as
/// good as the privacy of the file.
#[derive(Debug)]
pub struct Spool {
    files: Vec<File>,
    /// How many bytes each file but the current one has.
    lengths: Vec<u64>,
    length: u64,
    check: RunningCheck,
    /// To which lengths it went back, in order.
    rewinds: Vec<u64>,
    identity: Arc<()>,
}

/// A place in a [`Spool`] to go back to: the length of its file, and every digest at that byte.
///
/// It is of use to the spool it was taken from only, and never written to disk: a digest that was
/// kept elsewhere would vouch for bytes that nobody reads again. A file that outlives its spool is
/// hashed anew by [`Spool::resume`].
#[derive(Clone, Debug)]
pub struct Checkpoint {
    hashes: Hashes,
    files: usize,
    length: u64,
    rewinds: usize,
    identity: Arc<()>,
}

impl Checkpoint {
    /// The number of bytes the current file had.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether the current file had no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Spool {
    /// Begins with an empty file that is open for reading and writing.
    #[must_use]
    pub fn new(file: File, check: StreamingCheck) -> Self {
        Self {
            files: vec![file],
            ..Self::empty(check)
        }
    }

    /// Goes on with a file: hashes what it holds and appends after it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn resume(file: File, check: StreamingCheck) -> io::Result<Self> {
        let mut spool = Self::empty(check);
        spool.resume_next(file)?;
        Ok(spool)
    }

    /// Goes on with a further file, as [`resume`](Self::resume) does with the first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read. The spool is of no use after that.
    pub fn resume_next(&mut self, mut file: File) -> io::Result<()> {
        file.seek(SeekFrom::Start(0))?;
        self.begin_file();
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    self.check.update_bytes(&buffer[..read]);
                    self.length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// Appends bytes to the current file and hashes them.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. The spool is of no use after that: how much of the bytes
    /// reached the file is not known.
    pub fn write(&mut self, bytes: &Unverified<Bytes>) -> io::Result<()> {
        if let Some(file) = self.files.last_mut() {
            file.write_all(bytes.peek())?;
        }
        self.check.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Remembers this place, to go back to when what follows has to be asked for again.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            hashes: self.check.save(),
            files: self.files.len(),
            length: self.length,
            rewinds: self.rewinds.len(),
            identity: Arc::clone(&self.identity),
        }
    }

    /// Goes back: cuts the current file to the length it had, and takes the digests of that byte.
    /// Nothing is hashed twice.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a checkpoint of another spool or another file, or of
    /// bytes that were cut off since it was taken; else when the file cannot be cut. The spool is of no use after that.
    pub fn rewind(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let same = Arc::ptr_eq(&self.identity, &checkpoint.identity);
        let mut since = self.rewinds.iter().skip(checkpoint.rewinds);
        if !same
            || self.files.len() != checkpoint.files
            || self.length < checkpoint.length
            || since.any(|length| *length < checkpoint.length)
        {
            let wrong = "the checkpoint is not of the bytes that are in this spool";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
        }
        if let Some(file) = self.files.last_mut() {
            file.set_len(checkpoint.length)?;
            file.seek(SeekFrom::Start(checkpoint.length))?;
        }
        self.length = checkpoint.length;
        self.rewinds.push(checkpoint.length);
        self.check.restore(&checkpoint.hashes);
        Ok(())
    }

    /// The number of bytes in the current file.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether the current file has no byte yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Goes on in another empty file. The check is over all files, one after the other.
    pub fn next_file(&mut self, file: File) {
        self.begin_file();
        self.files.push(file);
    }

    /// Brings the bytes of all files to the disk.
    ///
    /// # Errors
    ///
    /// When the disk refuses; the files are of no use after that.
    pub fn sync_all(&self) -> io::Result<()> {
        self.files.iter().try_for_each(File::sync_all)
    }

    /// Completes the check and opens the files, each rewound to its first byte.
    ///
    /// # Errors
    ///
    /// What does not hold, also that a file holds more or less than was written to it. The files
    /// are closed then; the caller deletes them.
    pub fn finish(mut self) -> Result<Verified<Vec<File>>, VerifyError> {
        self.begin_file();
        let Self {
            mut files,
            lengths,
            check,
            ..
        } = self;
        let proofs = check.finish()?;
        for (file, length) in files.iter_mut().zip(lengths) {
            let found = file.metadata()?.len();
            if found != length {
                let wrong = format!("{length} bytes were written to a file that has {found}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, wrong).into());
            }
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(Verified::proven(files, proofs))
    }

    fn empty(check: StreamingCheck) -> Self {
        Self {
            files: Vec::new(),
            lengths: Vec::new(),
            length: 0,
            check: check.begin(),
            rewinds: Vec::new(),
            identity: Arc::new(()),
        }
    }

    /// Notes how long the file is that was written until now.
    fn begin_file(&mut self) {
        if !self.files.is_empty() {
            self.lengths.push(self.length);
            self.rewinds.clear();
        }
        self.length = 0;
    }
}

const BUFFER: usize = 128 * 1024;
