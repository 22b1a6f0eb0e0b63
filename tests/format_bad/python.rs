//! NumPy's and PyTorch's files that are cut, that lie, or that are noise.

use super::{Noise, mutate, open, open_within, refused};
use std::{fs, path::Path};

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats/python").join(name)).unwrap()
}

/// A `.npy` file of this header and `n` bytes of data.
fn npy(header: &str, n: usize) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    out.resize(out.len() + n, 7);
    out
}

/// A stored archive; `change` may alter each local header, directory entry and the end record.
fn zip(files: &[(&str, &[u8])], change: impl Fn(&str, &mut Vec<u8>)) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let size = (bytes.len() as u32).to_le_bytes();
        let head = [&[0; 12][..], &size, &size, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        let mut entry =
            [b"PK\x01\x02\x14\0", &b"\x14\0"[..], &head, &[0; 10], &(out.len() as u32).to_le_bytes()].concat();
        entry.extend(name.bytes());
        change("entry", &mut entry);
        directory.extend(entry);
        let mut local = [&b"PK\x03\x04\x14\0"[..], &head, name.as_bytes()].concat();
        change("local", &mut local);
        out.extend(local);
        out.extend(*bytes);
    }
    let count = (files.len() as u16).to_le_bytes();
    let (size, start) = ((directory.len() as u32).to_le_bytes(), (out.len() as u32).to_le_bytes());
    let mut end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &start, &[0; 2]].concat();
    change("end", &mut end);
    [out, directory, end].concat()
}

/// A PyTorch archive with this pickle and one storage `0` of 16 bytes.
fn pt(pickle: &[u8]) -> Vec<u8> {
    zip(&[("a/data.pkl", pickle), ("a/data/0", &[7; 16])], |_, _| {})
}

/// A pickle of one tensor over storage `0` with these sizes and strides.
fn tensor(count: u32, offset: u32, sizes: &[i32], strides: &[i32]) -> Vec<u8> {
    let number = |n: i32| [&b"J"[..], &n.to_le_bytes()].concat();
    let tuple =
        |numbers: &[i32]| [&b"("[..], &numbers.iter().flat_map(|&n| number(n)).collect::<Vec<_>>(), b"t"].concat();
    [
        &b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"[..],
        &number(count as i32),
        b"tQ",
        &number(offset as i32),
        &tuple(sizes),
        &tuple(strides),
        b"\x89NtR.",
    ]
    .concat()
}

#[test]
fn cut_anywhere() {
    for name in ["f4.npy", "version2.npy", "stored.npz", "deflated.npz", "state.pt", "legacy.pth", "packed.pt"] {
        let whole = golden(name);
        open_within(name, &whole, 1100).unwrap();
        for len in 0..whole.len() {
            assert!(open_within(name, &whole[..len], 1100).is_err(), "{name} cut to {len} bytes");
        }
    }
}

#[test]
fn npy_headers_that_lie() {
    let header = |descr: &str, shape: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    assert!(open("x.npy", &npy(&header("'<f4'", "(2,)"), 8)).is_ok());
    assert!(open("x.npy", &npy("{\"shape\":(2L,),\"fortran_order\":True,\"descr\":\"<f4\"}", 8)).is_ok());
    for (header, data, expected) in [
        (header("'<f4'", "(2,)"), 7, "is it complete?"),
        (header("'<f4'", "(2,)"), 9, "has 9 bytes"),
        (header("'<f4'", "(4294967296, 4294967296)"), 8, "overflows"),
        (header("'<f4'", "(18446744073709551615,)"), 8, "is it complete?"),
        (header("'<f4'", "(99999999999999999999,)"), 8, "no list of sizes"),
        (header("'<f4'", "(-1,)"), 8, "no list of sizes"),
        (header("'<f4'", "(1 2)"), 8, "no list of sizes"),
        (header("'<f4'", &format!("({})", "1, ".repeat(100))), 4, "more than 64 dimensions"),
        (header("[('a', '<f4')]", "(2,)"), 8, "structured"),
        (header("'<f4", "(2,)"), 8, "NumPy header"),
        ("{'descr': '<f4', 'shape': (2,)}".into(), 8, "missing"),
        ("{'descr': '<f4', 'evil': __import__('os')}".into(), 8, "unknown key"),
        ("{'fortran_order': 1}".into(), 8, "neither True nor False"),
        ("{".repeat(1000), 8, "a text is missing"),
        ("".into(), 8, "'{' is missing"),
    ] {
        refused("x.npy", &npy(&header, data), expected);
    }
    refused("x.npy", b"\x93NUMPY\x04\0\x01\0{", "version");
    refused("x.npy", b"\x93NUMPY\x02\0\xff\xff\xff\x7f{", "longer than 64 KB");
    refused("x.npy", b"\x93NUMPY", "does not end");
}

#[test]
fn zip_archives_that_lie() {
    let array = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8);
    let files = [("a.npy", &array[..]), ("b.npy", &array[..])];
    assert_eq!(open("x.npz", &zip(&files, |_, _| {})).unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(open("x.npz", &zip(&[], |_, _| {})).unwrap().names().len(), 0);
    // A record, a place in it, what is put there, and the complaint.
    for (record, at, value, expected) in [
        ("entry", 8, &[1u8][..], "encrypted"),
        ("entry", 10, &[12], "method 12"),
        ("entry", 10, &[8], "inflate"),
        ("entry", 20, &[0xff; 4], "64-bit sizes"),
        ("entry", 20, &[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f], "outside the archive"),
        ("entry", 24, &[0, 0, 0, 1], "two sizes differ"),
        ("entry", 28, &[0xff, 0xff], "ends behind the directory"),
        ("entry", 42, &[0xff, 0xff, 0xff, 0x7f], "outside the archive"),
        ("entry", 42, &[3], "another header"),
        ("entry", 46, &[0xff], "not UTF-8"),
        ("local", 30, b"x", "another header"),
        ("local", 28, &[0xff, 0xff], "outside the archive"),
        ("end", 10, &[0xff, 0xff], "not where its end says"),
        ("end", 10, &[3], "directory"),
        ("end", 12, &[0xff, 0xff, 0xff, 0x7f], "not where its end says"),
        ("end", 16, &[0xff, 0xff, 0xff, 0x7f], "not where its end says"),
        ("end", 16, &[1], "is not one"),
        ("end", 20, &[9], "no directory at its end"),
    ] {
        let file = zip(&files, |kind, bytes| {
            if kind == record {
                bytes[at..at + value.len()].copy_from_slice(value);
            }
        });
        refused("x.npz", &file, expected);
    }
    // Two entries over the same bytes.
    let shared = zip(&[("a.npy", &array), ("a.npy", &array)], |kind, bytes| {
        if kind == "entry" {
            bytes[42..46].fill(0);
        }
    });
    refused("x.npz", &shared, "overlap");
    refused("x.npz", &zip(&[("a.npy", &array), ("a.npy", &array)], |_, _| {}), "appears twice");
    refused("x.pt", &zip(&[("readme", b"hello")], |_, _| {}), "neither PyTorch's nor NumPy's");
}

#[test]
fn pickles_that_lie() {
    let good = tensor(4, 0, &[2, 2], &[2, 1]);
    assert_eq!(open("x.pt", &pt(&good)).unwrap().names().collect::<Vec<_>>(), ["tensor"]);
    for (count, offset, sizes, strides, expected) in [
        (4, 1, &[2, 2][..], &[2, 1][..], "which has 16"),
        (4, 0, &[5], &[1], "which has 16"),
        (4, 0, &[2], &[i32::MAX], "which has 16"),
        (4, 0, &[2, 2], &[1], "sizes [2, 2] and strides [1]"),
        (4, 0, &[-2], &[1], "no number from 0"),
        (4, 0, &[2], &[-1], "no number from 0"),
        (4, 0, &[i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0], "overflows"),
        (4, 0, &[i32::MAX], &[0], "repeats 1 elements"),
        (4, 0, &[1; 65], &[1; 65], "65 dimensions"),
    ] {
        refused("x.pt", &pt(&tensor(count, offset, sizes, strides)), expected);
    }
    assert!(open("x.pt", &pt(&tensor(4, 1, &[3], &[1]))).is_ok());
    assert!(open("x.pt", &pt(&tensor(4, 4, &[0, 3], &[1, 1]))).is_ok());
    for (pickle, expected) in [
        (&b""[..], "does not end"),
        (b"\x80\x02", "does not end"),
        (b"\x80\x09N.", "protocol 9"),
        (b"\x80\x02.", "empty stack"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02(0.", "empty stack"),
        (b"\x80\x02h\x05.", "memo 5 is empty"),
        (b"\x80\x02\xff.", "opcode 0xff"),
        (b"\x80\x02ios\nsystem\n.", "opcode 0x69"),
        (b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x80\x02cbuiltins\neval\n.", "builtins.eval"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02ctorch\n\n.", "torch."),
        (b"\x80\x02NNR.", "did not import"),
        (b"\x80\x02ccollections\nOrderedDict\nNR.", "no tuple"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "does not take"),
        (b"\x80\x02NQ.", "no storage"),
        (b"\x80\x02NNb.", "sets attributes"),
        (b"\x80\x02NNa.", "no list"),
        (b"\x80\x02}(Nu.", "no list or dictionary"),
        (b"\x80\x02X\xff\xff\xff\xff.", "does not end"),
        (b"\x80\x02X\x01\0\0\0\xff.", "not UTF-8"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "does not end"),
        (b"\x80\x02\x8b\xff\xff\xff\xff.", "does not end"),
    ] {
        refused("x.pt", &pt(pickle), expected);
    }
    refused("x.pt", &pt(&[&b"\x80\x02c"[..], &[b'x'; 1000]].concat()), "endless name");
    refused("x.pt", &zip(&[("a/data.pkl", &good)], |_, _| {}), "not in the file");
}

#[test]
fn pickles_that_would_fill_the_memory() {
    // A list of one value takes up to 100 bytes here, and two in the pickle.
    let refused = |body: &[u8], expected: &str| {
        let file = pt(&[&b"\x80\x02"[..], body, b"."].concat());
        let error = open_within("x.pt", &file, 100).err().unwrap().to_string();
        assert!(error.contains(expected), "{expected:?} expected: {error}");
    };
    // Values without end on the stack, and parts without end.
    refused(&b"N".repeat(1 << 17), "on the stack");
    refused(&b"(".repeat(1 << 17), "on the stack");
    refused(&b"N\x85\x85\x850".repeat(1 << 17), "more values");
    refused(&[&b"N"[..], &b"\x85".repeat(5000)].concat(), "more values");
    // Memo entries at high numbers cost what low ones do.
    let high = (0..1000u32).flat_map(|i| [&b"r"[..], &(u32::MAX - i).to_le_bytes()].concat()).collect::<Vec<_>>();
    assert!(open("x.pt", &pt(&[&b"\x80\x02N"[..], &high, b"."].concat())).is_ok());
    // A list that holds itself, lists in lists, and lists that hold the one before ten times each.
    refused(b"]q\0h\0a", "nest deeper");
    refused(&[b"]".repeat(5000), b"a".repeat(4999)].concat(), "nest deeper");
    let mut laughs = b"]q\0K\x01a".to_vec();
    for i in 1..60u8 {
        laughs.extend([b']', b'q', i, b'(']);
        (0..10).for_each(|_| laughs.extend([b'h', i - 1]));
        laughs.push(b'e');
    }
    refused(&laughs, "too many places");
}

#[test]
fn noise_behind_good_beginnings() {
    let mut noise = Noise(3);
    let heads: [&[u8]; 5] = [
        b"\x93NUMPY\x01\0\x40\0{'descr': '",
        b"PK\x03\x04",
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02",
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        b"PK\x05\x06",
    ];
    for round in 0..20_000 {
        let body: Vec<u8> = (0..noise.below(300)).map(|_| noise.next() as u8).collect();
        assert!(open("x.pt", &[heads[round % heads.len()], &body].concat()).is_err());
        // Opcodes rather than any bytes.
        const OPCODES: &[u8] = b"(0NJKMG)t]aeX}usqrhjcQRb\x85\x86\x87\x88\x8a\x8c\x93\x94\x81";
        let program: Vec<u8> = body.iter().map(|b| OPCODES[*b as usize % OPCODES.len()]).collect();
        let _ = open("x.pt", &pt(&[&b"\x80\x02"[..], &program, b"."].concat()));
    }
}

#[test]
fn mutations_of_good_python_files() {
    let mut noise = Noise(4);
    let names = ["f4.npy", "big_fortran.npy", "stored.npz", "packed.pt", "tensor.pt", "nested.pt", "nested_legacy.bin"];
    for name in names {
        let good = golden(name);
        let (mut opened, rounds) = (0, 3000);
        for _ in 0..rounds {
            let mut bytes = good.clone();
            mutate(&mut bytes, &mut noise);
            opened += u32::from(open_within(name, &bytes, 1100).is_ok());
        }
        assert!((1..rounds).contains(&opened), "{name}: {opened} of {rounds} opened");
    }
}
