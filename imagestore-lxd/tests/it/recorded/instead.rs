//! What hosts said to requests that a source never makes, in the place of the answer to one that it
//! does make. The status decides, and where it is 200 the form.

use super::scene::{Call, Recorded, Scene};
use super::{ALL_IMAGES, INCUS, LXD, SQUASH, UNIFIED, UNTRUSTED};

/// One answer in the place of another.
struct Instead {
    recording: &'static str,
    host: Recorded,
    /// The request that it answers here.
    request: &'static str,
    call: Call,
    outcome: &'static str,
}

const ALL: &[Instead] = &[
    // Forbidden, not hidden.
    Instead {
        recording: "https/untrusted_aliases",
        host: UNTRUSTED,
        request: "GET /1.0/images/aliases/tiny-squash",
        call: Call::Lookup("tiny-squash"),
        outcome: "Refused: does not allow it (status 403 Forbidden): \
                  HOST/1.0/images/aliases/tiny-squash\n\
                  the host says: not authorized",
    },
    Instead {
        recording: "https/untrusted_instances",
        host: UNTRUSTED,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "Refused: does not allow it (status 403 Forbidden): HOST/1.0/images?…\n\
                  the host says: not authorized",
    },
    Instead {
        recording: "https/untrusted_images_project",
        host: UNTRUSTED,
        request: "GET /1.0/images?recursion=1&project=foo",
        call: Call::ListProject("foo"),
        outcome: "NotFound: no such project, or not for this caller: `foo` on HOST\n\
                  not there (status 404 Not Found): HOST/1.0/images?…\n\
                  the host says: Check if project has images: fetch project: Project not found",
    },
    // An image that vanishes after it was described: nobody reads what is said to an export.
    Instead {
        recording: "https/untrusted_export_private",
        host: UNTRUSTED,
        request: "GET /1.0/images/{squash}/export",
        call: Call::Fetch(SQUASH),
        outcome: "NotFound: no such image among those the host shows to everybody: {squash}\n\
                  not there (status 404 Not Found): HOST/1.0/images/{squash}/export",
    },
    // The words of the two families differ.
    Instead {
        recording: "rest/image_missing",
        host: LXD,
        request: "GET /1.0/images/{unified}",
        call: Call::Lookup(UNIFIED),
        outcome: "NotFound: no such image: {unified}\n\
                  not there (status 404 Not Found): HOST/1.0/images/{unified}\n\
                  the host says: Image not found",
    },
    Instead {
        recording: "incus_rest/image_missing",
        host: INCUS,
        request: "GET /1.0/images/{unified}",
        call: Call::Lookup(UNIFIED),
        outcome: "NotFound: no such image: {unified}\n\
                  not there (status 404 Not Found): HOST/1.0/images/{unified}\n\
                  the host says: Image \"deadbeef\" not found",
    },
    Instead {
        recording: "rest/notfound",
        host: LXD,
        request: "GET /1.0",
        call: Call::Host,
        outcome: "NotFound: not there (status 404 Not Found): HOST/1.0\n\
                  the host says: not found",
    },
    // A host that answers no GET either. HEAD has no body, and an export is not read.
    Instead {
        recording: "rest/head_unified",
        host: LXD,
        request: "GET /1.0/images/{unified}/export",
        call: Call::Fetch(UNIFIED),
        outcome: "Network: is out of order (status 501 Not Implemented): \
                  HOST/1.0/images/{unified}/export",
    },
    // `filter=public eq true`: the one host shows nothing, the other what is public.
    Instead {
        recording: "rest/images_filter",
        host: LXD,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "",
    },
    Instead {
        recording: "incus_rest/filter",
        host: INCUS,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "{squash} is {squash}, public: yes\n\
                  tiny-squash is {squash}, public: yes",
    },
    // Another filter, and `public`, which hosts have no word for: all images.
    Instead {
        recording: "incus_rest/filter2",
        host: INCUS,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: ALL_IMAGES,
    },
    Instead {
        recording: "rest/images_public",
        host: LXD,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: ALL_IMAGES,
    },
    // Lists of other things.
    Instead {
        recording: "rest/images_recursion0",
        host: LXD,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "Malformed: the answer is not what a LXD host says here: \
                  invalid type: string \"/1.0/images/{squash}\", expected an object \
                  at line 1 column 183: HOST/1.0/images?recursion=1",
    },
    Instead {
        recording: "rest/aliases",
        host: LXD,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "Malformed: the answer is not what a LXD host says here: \
                  invalid type: string \"/1.0/images/aliases/tiny-split\", \
                  expected an object at line 1 column 137: HOST/1.0/images?recursion=1",
    },
    Instead {
        recording: "rest/aliases_r1",
        host: LXD,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "Malformed: the answer is not what a LXD host says here: \
                  missing field `fingerprint` at line 1 column 238: \
                  HOST/1.0/images?recursion=1",
    },
    Instead {
        recording: "rest/root",
        host: LXD,
        request: "GET /1.0/images?recursion=1",
        call: Call::List,
        outcome: "Malformed: the answer is not what a LXD host says here: \
                  invalid type: string \"/1.0\", expected an object at line 1 column 111: \
                  HOST/1.0/images?recursion=1",
    },
    Instead {
        recording: "rest/operations",
        host: LXD,
        request: "GET /1.0/operations/e142753b-0572-481f-8119-b3a0fe73cd49",
        call: Call::Operation("e142753b-0572-481f-8119-b3a0fe73cd49"),
        outcome: "Malformed: the answer is not what a LXD host says here: missing field `id` \
                  at line 1 column 106: \
                  HOST/1.0/operations/e142753b-0572-481f-8119-b3a0fe73cd49",
    },
];

#[tokio::test]
async fn the_status_of_an_answer_decides_and_then_its_form() {
    let mut wrong = Vec::new();
    for instead in ALL {
        let answers = [(instead.request, instead.recording)];
        let scene = Scene::new(&instead.host, &answers);
        let outcome = scene.outcome(instead.call).await;
        if outcome != instead.outcome {
            wrong.push(format!("{}:\n{outcome}", instead.recording));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

pub(super) fn recordings() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|instead| instead.recording)
}
