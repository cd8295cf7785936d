//! The physical limit: what the machine does with bytes and no protocol.

use std::arch::x86_64::*;
use std::hint::black_box;

pub fn has_avx2() -> bool {
    static HAS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *HAS.get_or_init(|| is_x86_feature_detected!("avx2"))
}

/// XOR in place; whether the result is all ASCII.
#[inline]
pub fn xor_ascii(b: &mut [u8], k: [u8; 4]) -> bool {
    if b.len() < 32 {
        let p = b.as_mut_ptr();
        // SAFETY: in bounds.
        return unsafe { tail(p, p, 0, b.len(), k) } & 0x8080_8080_8080_8080 == 0;
    }
    assert!(has_avx2());
    // SAFETY: checked.
    unsafe { xor_ascii_avx2(b, k) }
}

#[target_feature(enable = "avx2")]
fn xor_ascii_avx2(b: &mut [u8], k: [u8; 4]) -> bool {
    let m = _mm256_set1_epi32(i32::from_ne_bytes(k));
    let n = b.len();
    let p = b.as_mut_ptr();
    let mut i = 0;
    // SAFETY: i + 128 <= n, then i + 32 <= n.
    unsafe {
        let mut acc = _mm256_setzero_si256();
        while i + 128 <= n {
            let q = p.add(i).cast::<__m256i>();
            let a = _mm256_xor_si256(_mm256_loadu_si256(q), m);
            let b = _mm256_xor_si256(_mm256_loadu_si256(q.add(1)), m);
            let c = _mm256_xor_si256(_mm256_loadu_si256(q.add(2)), m);
            let d = _mm256_xor_si256(_mm256_loadu_si256(q.add(3)), m);
            _mm256_storeu_si256(q, a);
            _mm256_storeu_si256(q.add(1), b);
            _mm256_storeu_si256(q.add(2), c);
            _mm256_storeu_si256(q.add(3), d);
            acc = _mm256_or_si256(acc, _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)));
            i += 128;
        }
        while i + 32 <= n {
            let q = p.add(i).cast::<__m256i>();
            let a = _mm256_xor_si256(_mm256_loadu_si256(q), m);
            _mm256_storeu_si256(q, a);
            acc = _mm256_or_si256(acc, a);
            i += 32;
        }
        let or = tail(p, p, i, n, k);
        _mm256_movemask_epi8(acc) == 0 && or & 0x8080_8080_8080_8080 == 0
    }
}

/// The rest of a mask loop, from `i` (a multiple of 4) to `n`, by eights, a four and
/// up to three bytes; the OR of all results.
/// # Safety
/// `src` and `dst` valid up to `n`.
#[inline(always)]
unsafe fn tail(src: *const u8, dst: *mut u8, mut i: usize, n: usize, k: [u8; 4]) -> u64 {
    let m = u32::from_ne_bytes(k);
    let m8 = (m as u64) << 32 | m as u64;
    let mut or = 0u64;
    unsafe {
        while i + 8 <= n {
            let v = src.add(i).cast::<u64>().read_unaligned() ^ m8;
            dst.add(i).cast::<u64>().write_unaligned(v);
            or |= v;
            i += 8;
        }
        if i + 4 <= n {
            let v = src.add(i).cast::<u32>().read_unaligned() ^ m;
            dst.add(i).cast::<u32>().write_unaligned(v);
            or |= v as u64;
            i += 4;
        }
        while i < n {
            let v = *src.add(i) ^ k[i & 3];
            *dst.add(i) = v;
            or |= v as u64;
            i += 1;
        }
    }
    or
}

#[inline]
pub fn ascii(b: &[u8]) -> bool {
    b.is_ascii()
}

#[target_feature(enable = "avx2")]
pub fn xor_avx2(b: &mut [u8], k: [u8; 4]) {
    let m = _mm256_set1_epi32(i32::from_ne_bytes(k));
    let n = b.len();
    let p = b.as_mut_ptr();
    let mut i = 0;
    // SAFETY: in bounds.
    unsafe {
        while i + 128 <= n {
            let q = p.add(i).cast::<__m256i>();
            for j in 0..4 {
                _mm256_storeu_si256(q.add(j), _mm256_xor_si256(_mm256_loadu_si256(q.add(j)), m));
            }
            i += 128;
        }
        while i + 32 <= n {
            let q = p.add(i).cast::<__m256i>();
            _mm256_storeu_si256(q, _mm256_xor_si256(_mm256_loadu_si256(q), m));
            i += 32;
        }
        tail(p, p, i, n, k);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn xor_avx512(b: &mut [u8], k: [u8; 4]) {
    let m = _mm512_set1_epi32(i32::from_ne_bytes(k));
    let n = b.len();
    let p = b.as_mut_ptr();
    let mut i = 0;
    // SAFETY: in bounds.
    unsafe {
        while i + 128 <= n {
            let q = p.add(i).cast::<__m512i>();
            _mm512_storeu_si512(q, _mm512_xor_si512(_mm512_loadu_si512(q), m));
            _mm512_storeu_si512(q.add(1), _mm512_xor_si512(_mm512_loadu_si512(q.add(1)), m));
            i += 128;
        }
        tail(p, p, i, n, k);
    }
}

/// What a plain safe loop gives with the baseline target.
#[inline(never)]
pub fn xor_auto(b: &mut [u8], k: [u8; 4]) {
    let (blocks, rest) = b.as_chunks_mut::<32>();
    let mut m = [0; 32];
    for (i, x) in m.iter_mut().enumerate() {
        *x = k[i & 3];
    }
    for c in blocks {
        for (x, y) in c.iter_mut().zip(m) {
            *x ^= y;
        }
    }
    for (x, y) in rest.iter_mut().zip(m) {
        *x ^= y;
    }
}

/// Copy and mask in one pass.
/// # Safety
/// `dst` valid for writes of `src.len()`, not overlapping.
#[inline]
pub unsafe fn copy_xor(dst: *mut u8, src: &[u8], k: [u8; 4]) {
    unsafe {
        if src.len() >= 32 {
            assert!(has_avx2());
            copy_xor_avx2(dst, src, k)
        } else {
            tail(src.as_ptr(), dst, 0, src.len(), k);
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn copy_xor_avx2(dst: *mut u8, src: &[u8], k: [u8; 4]) {
    let m = _mm256_set1_epi32(i32::from_ne_bytes(k));
    let (n, s) = (src.len(), src.as_ptr());
    let mut i = 0;
    unsafe {
        while i + 128 <= n {
            for j in 0..4 {
                let v = _mm256_loadu_si256(s.add(i + 32 * j).cast());
                _mm256_storeu_si256(dst.add(i + 32 * j).cast(), _mm256_xor_si256(v, m));
            }
            i += 128;
        }
        while i + 32 <= n {
            _mm256_storeu_si256(dst.add(i).cast(), _mm256_xor_si256(_mm256_loadu_si256(s.add(i).cast()), m));
            i += 32;
        }
        tail(s, dst, i, n, k);
    }
}

/// One limit measurement: `run` handles one message's worth of bytes.
pub struct Limit {
    pub name: String,
    pub size: usize,
    pub run: Box<dyn FnMut()>,
}

fn text(n: usize) -> Vec<u8> {
    crate::work::Work::new(crate::work::Op::SendServer, crate::work::Kind::Ascii, n, 65536).payloads[0].to_vec()
}

pub fn all(sizes: &[usize]) -> Vec<Limit> {
    let mut v: Vec<Limit> = Vec::new();
    let mut add = |name: &str, size: usize, run: Box<dyn FnMut()>| v.push(Limit { name: name.to_string(), size, run });
    for &n in sizes {
        let src = text(n);
        let mut dst = vec![1u8; n];
        {
            let src = src.clone();
            add(
                "memcpy",
                n,
                Box::new(move || {
                    dst.copy_from_slice(black_box(&src));
                    black_box(&mut dst);
                }),
            );
        }
        let mut b = src.clone();
        add(
            "xor in place, plain loop (SSE2)",
            n,
            Box::new(move || {
                xor_auto(black_box(&mut b), [1, 2, 3, 4]);
            }),
        );
        if has_avx2() {
            let mut b = src.clone();
            add(
                "xor in place, AVX2",
                n,
                Box::new(move || {
                    // SAFETY: checked.
                    unsafe { xor_avx2(black_box(&mut b), [1, 2, 3, 4]) }
                }),
            );
        }
        if is_x86_feature_detected!("avx512bw") {
            let mut b = src.clone();
            add(
                "xor in place, AVX-512",
                n,
                Box::new(move || {
                    // SAFETY: checked.
                    unsafe { xor_avx512(black_box(&mut b), [1, 2, 3, 4]) }
                }),
            );
        }
        {
            let src = src.clone();
            let mut dst = vec![1u8; n];
            add(
                "copy+xor in one pass, AVX2",
                n,
                Box::new(move || {
                    // SAFETY: same length, distinct.
                    unsafe { copy_xor(dst.as_mut_ptr(), black_box(&src), [1, 2, 3, 4]) }
                    black_box(&mut dst);
                }),
            );
        }
        {
            let src = src.clone();
            add(
                "std::str::from_utf8 (ASCII)",
                n,
                Box::new(move || {
                    black_box(std::str::from_utf8(black_box(&src)).is_ok());
                }),
            );
        }
        {
            let src = src.clone();
            add(
                "simdutf8 (ASCII)",
                n,
                Box::new(move || {
                    black_box(simdutf8::basic::from_utf8(black_box(&src)).is_ok());
                }),
            );
        }
        {
            let u = crate::work::Work::new(crate::work::Op::SendServer, crate::work::Kind::Utf8, n, 65536).payloads[0]
                .to_vec();
            let u2 = u.clone();
            add(
                "std::str::from_utf8 (mixed)",
                n,
                Box::new(move || {
                    black_box(std::str::from_utf8(black_box(&u)).is_ok());
                }),
            );
            add(
                "simdutf8 (mixed)",
                n,
                Box::new(move || {
                    black_box(simdutf8::basic::from_utf8(black_box(&u2)).is_ok());
                }),
            );
        }
        {
            // Two passes over the whole: unmask, then validate (what most peers do).
            let mut b = src.clone();
            add(
                "xor then simdutf8, two passes",
                n,
                Box::new(move || {
                    // Mask 0 leaves the text a text and costs the same.
                    if has_avx2() {
                        // SAFETY: checked.
                        unsafe { xor_avx2(black_box(&mut b), black_box([0; 4])) }
                    }
                    black_box(simdutf8::basic::from_utf8(black_box(&b)).is_ok());
                }),
            );
        }
        for block in [4096usize, 8192, 16384] {
            if n < block {
                continue;
            }
            let mut b = src.clone();
            add(
                &format!("fused xor+ASCII check, {} KiB blocks", block / 1024),
                n,
                Box::new(move || {
                    let mut ok = true;
                    for c in black_box(&mut b).chunks_mut(block) {
                        ok &= xor_ascii(c, black_box([0; 4]));
                    }
                    black_box(ok);
                }),
            );
            let mut b = src.clone();
            add(
                &format!("xor then simdutf8 per {} KiB block", block / 1024),
                n,
                Box::new(move || {
                    let mut ok = true;
                    for c in black_box(&mut b).chunks_mut(block) {
                        // SAFETY: has_avx2 is checked by the row above on every x86 this runs on.
                        unsafe { xor_avx2(c, black_box([0; 4])) }
                        ok &= simdutf8::basic::from_utf8(c).is_ok();
                    }
                    black_box(ok);
                }),
            );
        }
        if n < 4096 {
            let mut b = src.clone();
            add(
                "fused xor+ASCII check",
                n,
                Box::new(move || {
                    black_box(xor_ascii(black_box(&mut b), black_box([0; 4])));
                }),
            );
        }
        {
            // 64 KiB at a time into one buffer, as the transport does it.
            let src = src.clone();
            let mut dst = vec![1u8; n.min(65536)];
            add(
                "transport copy (64 KiB window)",
                n,
                Box::new(move || {
                    for c in black_box(&src).chunks(65536) {
                        dst[..c.len()].copy_from_slice(c);
                        black_box(&mut dst);
                    }
                }),
            );
        }
    }
    for n in [1024usize, 65536] {
        if !sizes.contains(&n) {
            continue;
        }
        for level in [1u32, 6] {
            let mut z = flate2::Compress::new(flate2::Compression::new(level), false);
            let mut out = vec![0u8; 2 * n + 64];
            // Other text each time, or the window would hold the whole answer.
            let texts = crate::work::Work::new(crate::work::Op::SendServer, crate::work::Kind::Ascii, n, 65536)
                .payloads
                .clone();
            let mut i = 0;
            add(
                &format!("deflate zlib-rs level {level}, sync flush, takeover"),
                n,
                Box::new(move || {
                    i = (i + 1) % texts.len();
                    z.compress(black_box(&texts[i]), &mut out, flate2::FlushCompress::Sync).unwrap();
                    black_box(&out);
                }),
            );
        }
        let mut z = flate2::Compress::new(flate2::Compression::new(6), false);
        let texts =
            crate::work::Work::new(crate::work::Op::SendServer, crate::work::Kind::Ascii, n, 65536).payloads.clone();
        let packed: Vec<Vec<u8>> = texts
            .iter()
            .map(|t| {
                let mut c = crate::work::deflate_message(&mut z, t);
                c.extend_from_slice(&[0, 0, 255, 255]);
                c
            })
            .collect();
        {
            // The same zlib-rs through its C interface.
            let packed = packed.clone();
            let mut out = vec![0u8; 2 * n + 64];
            let mut i = 0;
            let mut z: Box<libz_rs_sys::z_stream> = Box::default();
            // SAFETY: as zlib's manual has it; the stream stays where it is.
            let r = unsafe {
                libz_rs_sys::inflateInit2_(
                    &mut *z,
                    -15,
                    libz_rs_sys::zlibVersion(),
                    size_of::<libz_rs_sys::z_stream>() as i32,
                )
            };
            assert_eq!(r, libz_rs_sys::Z_OK);
            add(
                "inflate zlib-rs, takeover, by libz-rs-sys",
                n,
                Box::new(move || {
                    let p = black_box(&packed[i]);
                    z.next_in = p.as_ptr();
                    z.avail_in = p.len() as u32;
                    z.next_out = out.as_mut_ptr();
                    z.avail_out = out.len() as u32;
                    // SAFETY: in and out are valid for their lengths.
                    let r = unsafe { libz_rs_sys::inflate(&mut *z, libz_rs_sys::Z_SYNC_FLUSH) };
                    assert!(r == libz_rs_sys::Z_OK);
                    assert_eq!(out.len() - z.avail_out as usize, n);
                    i = (i + 1) % packed.len();
                }),
            );
        }
        let mut d = flate2::Decompress::new(false);
        let mut out = vec![0u8; 2 * n + 64];
        let mut i = 0;
        add(
            "inflate zlib-rs, takeover",
            n,
            Box::new(move || {
                let before = d.total_out();
                d.decompress(black_box(&packed[i]), &mut out, flate2::FlushDecompress::Sync).unwrap();
                assert_eq!((d.total_out() - before) as usize, n);
                i = (i + 1) % packed.len();
            }),
        );
    }
    let req = crate::work::CHROME_REQUEST.as_bytes();
    add(
        "httparse of the Chrome request",
        req.len(),
        Box::new(move || {
            let mut hs = [httparse::EMPTY_HEADER; 32];
            let mut r = httparse::Request::new(&mut hs);
            black_box(r.parse(black_box(req)).unwrap());
        }),
    );
    add(
        "sha1 + base64 of the key",
        24,
        Box::new(|| {
            black_box(crate::memio::accept_of(black_box(b"dGhlIHNhbXBsZSBub25jZQ==")));
        }),
    );
    v
}
