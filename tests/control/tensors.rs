//! Acting on tensors: the same actions and the same recording as on records, and nothing moves where one is refused.

#![allow(clippy::vec_box, reason = "a tensor points into its host, which must not move")]

use crate::hosts::*;
use keel::error::Status;
use keel::session::control::{Act, Actor, ControlSession, Episode, Tensors};
use keel::session::Learner;
use keel::torch::cuda::Stream;
use keel::torch::dlpack::{DLManagedTensorVersioned, DLTensor, Given};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// A host's tensor over memory that outlives it, and how often its deleter was called.
struct Host {
    data: Vec<u8>,
    shape: Vec<i64>,
    strides: Vec<i64>,
    deleted: AtomicUsize,
    managed: DLManagedTensorVersioned,
}

unsafe extern "C" fn count_deletion(managed: *mut DLManagedTensorVersioned) {
    // SAFETY: the tests keep hosts alive beyond every deletion.
    unsafe { (*(*managed).manager_context.cast::<Host>()).deleted.fetch_add(1, Ordering::SeqCst) };
}

const F32: (u8, u8) = (2, 32);
const I32: (u8, u8) = (0, 32);
const U8: (u8, u8) = (1, 8);
const BOOL: (u8, u8) = (6, 8);

fn host(data: Vec<u8>, (code, bits): (u8, u8), shape: &[i64], strides: &[i64]) -> Box<Host> {
    let tensor = DLTensor {
        data: std::ptr::null_mut(),
        device_type: 1,
        device_id: 0,
        dimensions: shape.len() as i32,
        code,
        bits,
        lanes: 1,
        shape: std::ptr::null_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    };
    let (major, minor, manager_context, deleter) = (1, 0, std::ptr::null_mut(), Some(count_deletion as _));
    let managed = DLManagedTensorVersioned { major, minor, manager_context, deleter, flags: 0, tensor };
    let (shape, strides) = (shape.to_vec(), strides.to_vec());
    let mut host = Box::new(Host { data, shape, strides, deleted: AtomicUsize::new(0), managed });
    host.managed.manager_context = std::ptr::from_mut(host.as_mut()).cast();
    host.managed.tensor.data = host.data.as_mut_ptr().cast();
    host.managed.tensor.shape = host.shape.as_mut_ptr();
    host.managed.tensor.strides = host.strides.as_mut_ptr();
    host
}

fn given(host: &mut Host) -> Given {
    // SAFETY: the host outlives what is given.
    unsafe { Given::take(&mut host.managed) }.unwrap()
}

/// A session with two vectors, a masked choice and another: 3 + 1 numbers, 3 + 2 choices.
fn armed() -> (Arc<ControlSession>, Arc<Actor>) {
    let network = json!({
        "model_type": "control", "hidden": [8],
        "observations": [
            {"type": "vector", "name": "place", "size": 3}, {"type": "mask", "action": "way"},
            {"type": "vector", "name": "fuel", "size": 1},
        ],
        "actions": [
            {"type": "discrete", "name": "way", "choices": 3}, {"type": "discrete", "name": "speed", "choices": 2},
        ],
    });
    let session = session(json!({"rollout_steps": 6, "minibatches": 2}), network);
    let actor = Actor::create(&session).unwrap();
    (session, actor)
}

const SLOTS: [u32; 3] = [4, 0, 7];
const PLACES: [[f32; 3]; 3] = [[0.5, -1.0, 2.0], [0.1, 0.2, 0.3], [-2.0, 0.0, 1.5]];
const MASKS: [[u8; 3]; 3] = [[1, 0, 1], [0, 1, 0], [1, 1, 1]];
const FUEL: [f32; 3] = [0.7, -0.7, 3.0];

/// The tensors of an act of three slots: places by columns, masks, every second number of a longer fuel, actions.
fn tensors(actions: (u8, u8)) -> Vec<Box<Host>> {
    let places: Vec<f32> = (0..9).map(|place| PLACES[place % 3][place / 3]).collect();
    let fuel: Vec<f32> = FUEL.iter().flat_map(|fuel| [f32::NAN, *fuel]).collect();
    let mut fuel = host(bytes(&fuel), F32, &[3, 1], &[2, 1]);
    fuel.managed.tensor.byte_offset = 4;
    let width = if actions == U8 { 8 } else { 2 };
    vec![
        host(bytes(&places), F32, &[3, 3], &[1, 3]),
        host(MASKS.concat(), BOOL, &[3, 3], &[3, 1]),
        fuel,
        host(vec![9; 24], actions, &[3, width], &[width, 1]),
    ]
}

fn offer(hosts: &mut [Box<Host>]) -> Tensors {
    let (actions, observations) = hosts.split_last_mut().unwrap();
    let observations = observations.iter_mut().map(|host| given(host)).collect();
    Tensors { observations, actions: given(actions), stream: Stream(std::ptr::null_mut()) }
}

/// The same act on records.
fn records() -> Vec<u8> {
    let record = |row: usize| [bytes(&PLACES[row]), MASKS[row].to_vec(), vec![0], bytes(&[FUEL[row]])].concat();
    (0..3).flat_map(record).collect()
}

fn deletions(hosts: &[Box<Host>]) -> Vec<usize> {
    hosts.iter().map(|host| host.deleted.load(Ordering::SeqCst)).collect()
}

fn end(actor: &Actor) {
    actor.observe(&SLOTS, &[1.0, 0.5, -1.0], &[Episode::Terminated; 3], &[]).unwrap();
}

#[test]
fn the_same_numbers_lead_to_the_same_actions_and_the_same_recording() {
    let ((plain, by_records), (other, by_tensors)) = (armed(), armed());
    for kind in [I32, U8] {
        let mut written = [0u8; 24];
        let mut decisions = [[0u64; 3]; 2];
        by_records.act(&SLOTS, &records(), &mut written, RECORDED, Some(&mut decisions[0])).unwrap();
        let mut hosts = tensors(kind);
        by_tensors.act_tensors(&SLOTS, offer(&mut hosts), RECORDED, Some(&mut decisions[1])).unwrap();
        assert_eq!((&hosts[3].data[..], decisions[0]), (&written[..], decisions[1]));
        assert_eq!(deletions(&hosts), [1; 4]);
        end(&by_records);
        end(&by_tensors);
        assert_eq!(plain.state_hash().unwrap(), other.state_hash().unwrap());
    }
    for session in [&plain, &other] {
        session.clone().update().unwrap().unwrap().run().unwrap();
    }
    assert_eq!(plain.state_hash().unwrap(), other.state_hash().unwrap());
}

#[test]
fn actions_that_the_host_chose_are_read_where_they_lie() {
    let ((plain, by_records), (other, by_tensors)) = (armed(), armed());
    let how = Act { given: true, ..RECORDED };
    let chosen: Vec<u8> = [2i32, 1, 1, 0, 0, 1].iter().flat_map(|number| number.to_ne_bytes()).collect();
    by_records.act(&SLOTS, &records(), &mut chosen.clone(), how, None).unwrap();
    let mut hosts = tensors(I32);
    // by columns
    let turned: Vec<u8> = [2i32, 1, 0, 1, 0, 1].iter().flat_map(|number| number.to_ne_bytes()).collect();
    hosts[3] = host(turned.clone(), I32, &[3, 2], &[1, 3]);
    by_tensors.act_tensors(&SLOTS, offer(&mut hosts), how, None).unwrap();
    assert_eq!((&hosts[3].data, deletions(&hosts)), (&turned, vec![1; 4]));
    assert_eq!(plain.state_hash().unwrap(), other.state_hash().unwrap());
}

#[test]
fn continuous_actions_are_floats_and_no_slot_is_no_work() {
    let network = json!({
        "model_type": "control", "observations": [{"type": "vector", "name": "o", "size": 2}],
        "actions": [{"type": "continuous", "name": "force", "size": 2, "low": -1.0, "high": 1.0}],
    });
    let (plain, other) = (session(json!({}), network.clone()), session(json!({}), network));
    let (by_records, by_tensors) = (Actor::create(&plain).unwrap(), Actor::create(&other).unwrap());
    let mut written = [0u8; 8];
    by_records.act(&[3], &bytes(&[0.5, -0.5]), &mut written, RECORDED, None).unwrap();
    let mut hosts =
        vec![host(bytes(&[0.5, -0.5]), F32, &[1, 1, 2], &[2, 2, 1]), host(vec![0; 8], F32, &[1, 2], &[2, 1])];
    by_tensors.act_tensors(&[3], offer(&mut hosts), RECORDED, None).unwrap();
    assert_eq!((hosts[1].data.as_slice(), deletions(&hosts)), (&written[..], vec![1; 2]));
    let mut none = vec![host(vec![], F32, &[0, 2], &[2, 1]), host(vec![], F32, &[0, 2], &[2, 1])];
    by_tensors.act_tensors(&[], offer(&mut none), RECORDED, None).unwrap();
    assert_eq!(plain.state_hash().unwrap(), other.state_hash().unwrap());
}

#[test]
fn what_is_refused_changes_nothing_and_is_let_go_once() {
    type Spoil = fn(&mut Vec<Box<Host>>);
    let (session, actor) = armed();
    let hash = session.state_hash().unwrap();
    let refusals: [(Spoil, Status, &str); 17] = [
        (
            |hosts| drop(hosts.remove(1)),
            Status::Shape,
            "observations: expected 3 tensors, one for each of [\"place\", \"way\", \"fuel\"], got 2",
        ),
        (|hosts| hosts[0].shape[0] = 2, Status::Shape, "observations: place: expected the shape [3, 3], got [2, 3]"),
        (|hosts| hosts[0].managed.tensor.dimensions = 1, Status::Shape, "place: expected the shape [3, 3], got [3]"),
        (|hosts| hosts[1].shape[1] = 2, Status::Shape, "observations: way: expected the shape [3, 3], got [3, 2]"),
        (
            |hosts| hosts[0].managed.tensor.code = 0,
            Status::Unsupported,
            "observations: place: expected float32, got Int",
        ),
        (|hosts| (hosts[1].managed.tensor.code) = 0, Status::Unsupported, "way: expected uint8 or bool, got Int8"),
        (|hosts| hosts[2].managed.major = 2, Status::Version, "observations: fuel: tensor: expected DLPack version 1"),
        (|hosts| hosts[2].managed.tensor.device_type = 2, Status::Device, "fuel: tensor: in CUDA memory"),
        (
            |hosts| hosts[2].managed.tensor.device_type = 7,
            Status::Device,
            "expected CPU or CUDA memory, got DLPack device 7",
        ),
        (|hosts| hosts[0].strides[0] = -1, Status::Shape, "negative stride"),
        (|hosts| hosts[3].managed.flags = 1, Status::InvalidArgument, "actions: expected memory that may be written"),
        (
            |hosts| hosts[3].managed.tensor.code = 2,
            Status::Unsupported,
            "actions: expected int32 or uint8 (records), got Float",
        ),
        (|hosts| hosts[3].shape[1] = 1, Status::Shape, "actions: expected the shape [3, 2], got [3, 1]"),
        (|hosts| hosts[3].managed.tensor.device_type = 2, Status::Device, "actions: tensor: in CUDA memory"),
        (|hosts| hosts[1].data[3..6].fill(0), Status::Data, "slot 0: observations: mask of way: expected at least one"),
        (
            |hosts| hosts[0].data[..4].copy_from_slice(&f32::NAN.to_ne_bytes()),
            Status::NonFinite,
            "slot 4: observations: place[0]",
        ),
        (|hosts| hosts[3].managed.major = 3, Status::Version, "actions: tensor: expected DLPack version 1, got 3"),
    ];
    for (spoil, status, sentence) in refusals {
        let mut hosts = tensors(I32);
        spoil(&mut hosts);
        let error = actor.act_tensors(&SLOTS, offer(&mut hosts), RECORDED, None).unwrap_err();
        assert!(error.status == status && error.message.contains(sentence), "{:?}: {error}", error.status);
        assert_eq!(deletions(&hosts), vec![1; hosts.len()], "{sentence}");
        assert_eq!(hosts.last().unwrap().data, [9; 24], "{sentence}");
        assert_eq!(session.state_hash().unwrap(), hash, "{sentence}");
    }
    let mut hosts = tensors(I32);
    let with_stream = Tensors { stream: Stream(std::ptr::dangling_mut()), ..offer(&mut hosts) };
    let error = actor.act_tensors(&SLOTS, with_stream, RECORDED, None).unwrap_err();
    assert!(error.message.contains("stream: expected NULL"), "{error}");
    let mut hosts = tensors(I32);
    let twice = actor.act_tensors(&[4, 4, 0], offer(&mut hosts), RECORDED, None).unwrap_err();
    assert!(twice.message.contains("got 4 twice"), "{twice}");
    assert_eq!((deletions(&hosts), session.state_hash().unwrap()), (vec![1; 4], hash));
}
