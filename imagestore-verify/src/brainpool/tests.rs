use super::*;

/// Signatures over "first line\n", made by OpenSSL.
struct Vector {
    curve: Brainpool,
    point: &'static str,
    r: &'static str,
    s: &'static str,
    digest: &'static str,
}

#[test]
fn accepts_signatures_of_openssl_and_none_that_differs() {
    for vector in VECTORS {
        let curve = vector.curve;
        let [point, r, s, digest] = [vector.point, vector.r, vector.s, vector.digest].map(bytes);
        let verify = |point: &[u8], r: &[u8], s: &[u8], digest: &[u8]| {
            curve.verify(point, Numbers { r, s }, digest)
        };
        assert!(verify(&point, &r, &s, &digest), "{curve:?}");
        // Of a longer digest the first bits count, a shorter one is a smaller number.
        let longer = [&digest[..], b"more"].concat();
        assert!(verify(&point, &r, &s, &longer), "{curve:?}");

        assert!(!verify(&point, &s, &r, &digest), "{curve:?}: swapped");
        assert!(!verify(&point, &[], &s, &digest), "{curve:?}: r is 0");
        assert!(!verify(&point, &r, &[], &digest), "{curve:?}: s is 0");
        let largest = vec![0xff; curve.field() / 8];
        assert!(!verify(&point, &largest, &s, &digest), "{curve:?}: r");
        assert!(!verify(&point, &r, &largest, &digest), "{curve:?}: s");
        let long = [&[1][..], &r].concat();
        assert!(!verify(&point, &long, &s, &digest), "{curve:?}: long r");
        for (name, part) in [("point", &point), ("r", &r), ("s", &s), ("digest", &digest)] {
            for at in (0..part.len()).step_by(9) {
                let mut changed = part.clone();
                changed[at] ^= 1;
                let changed = match name {
                    "point" => verify(&changed, &r, &s, &digest),
                    "r" => verify(&point, &changed, &s, &digest),
                    "s" => verify(&point, &r, &changed, &digest),
                    _ => verify(&point, &r, &s, &changed),
                };
                assert!(!changed, "{curve:?}: byte {at} of {name}");
            }
        }
        for wrong in [&[][..], &[0], &[4], &point[1..], &point[..point.len() - 1]] {
            assert!(!verify(wrong, &r, &s, &digest), "{curve:?}: {wrong:?}");
        }
    }
}

#[test]
fn every_curve_has_a_vector_and_its_own_names() {
    let curves = [Brainpool::P256, Brainpool::P384, Brainpool::P512];
    let tried: Vec<_> = VECTORS.iter().map(|vector| vector.curve).collect();
    assert_eq!(tried, curves);
    let oids = [P256_OID, P384_OID, P512_OID].map(Brainpool::from_oid);
    assert_eq!(oids, curves.map(Some));
    assert_eq!(Brainpool::from_oid(&P256_OID[..8]), None);
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
        .collect()
}

const VECTORS: &[Vector] = &[
    Vector {
        curve: Brainpool::P256,
        point: "04672b5e9cd8d85452ba7f8e9157423862bdec6cac313d39741b1dc290d79458\
                 b1a1831677887873c11fa0bdaf45f7a612df5d3128845f77744c3d9954bebd83\
                 7f",
        r: "24542a1c20c0068934a15b54cb3cbb968597191a4802a583d3705d3697939d76",
        s: "2005e51160a4ab488349145937de7a6058e4026e6d2c017f3cc23321d3c4049e",
        digest: "812702a1550d251abb2b813409daf5960269f1b9d62fa1c027c319e7baca3ae8",
    },
    Vector {
        curve: Brainpool::P384,
        point: "04392bc0afa76c578b5ec7408ab478fb55a61e435fc8ae62d33f9d267ce2ec80\
                 b465875268262c0353a5614c0224055a448332f2039a5f613fc92fd33f6229fc\
                 7fe3daa72f6a9fbbca311d7bd085200028b1b007d39fd7c8ea9eb05505adcb69\
                 4b",
        r: "2bfbecbce0c4169bbc719b9687d4f0e241e36627be5ecefcac532b359b240717\
                 bbed13a498fb25e9ae107ff83ac1224a",
        s: "3092f4aa2e30472b7acaf0a3d8e4dc4e32c245092bb07094b4e7e3f76f621c24\
                 ef47c55f3cefff543c51facfc6725ab8",
        digest: "19985f15c340616dbf2f36d0643e8a9cd8f50a0fcddf54a67887b6d844b81529\
                 24275ee93379ac8fe626368d199eabad",
    },
    Vector {
        curve: Brainpool::P512,
        point: "04a79a7eb52526790c0743aa3b0c1d8fab75aa3cbf5f56fdb54a5441ccc8baa7\
                 788fe550b7355f346a7190e4382896a811a22c7f1be87adfcac532c6a46e0b9c\
                 9d2c7fde2dbfd6ef5d628a91e1e0517bad88664974d3a7d4d8c8545378076b43\
                 1acecac3f64f907920ffa2c88578669b846ec6389288880676b3ff6c5794b450\
                 21",
        r: "87e438ebc07a96dda9beac5083c9912c7c368b18d75dbdda311ccd8663999557\
                 e4b74fc82b1ececbce78535c707a0aa78d2ffe96e8d51a8f351a127c3ddaa732",
        s: "94689368f08d4487bdd7975f3825b7559fa1acc39af82172fbc72bfea96a44fb\
                 4fc2702a0b1fa5e2ff269a0ca3379d751db94934c7217a07165dc46f9c64a47e",
        digest: "cbcb6fe68a0c2a40429bc1af4878db0d6fa7bd40586819a2694673e4464d2882\
                 04f4a0ac7953523eced5938eef289a7e40bd76bc01b562c798253e734df4057d",
    },
];
