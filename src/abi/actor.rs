//! The C noun `actor`: the host's hand in a session that trains a control policy.

use super::handle::{self, Noun, Type};
use super::session::{find_one, keel_session};
use super::status::{keel_error, keel_status};
use super::tensor::{self, DLManagedTensorVersioned};
use super::text;
use super::text::Out;
use crate::config;
use crate::error::{Error, Result};
use crate::session::control::{Act, Actor, ControlSession, Tensors};
use crate::torch::cuda::Stream;
use std::ffi::{c_char, c_void};

/// An actor: acts for slots and tells what came of it. Made by keel_actor_create.
pub type keel_actor = u64;

/// keel_actor_act: the likeliest choice and the mean, rather than a draw.
pub const KEEL_ACT_GREEDY: u32 = 1;
/// keel_actor_act: nothing is learned from it; the slots stay where they stand: a recurrent policy acts from what it
/// remembers of them, and remembers no more.
pub const KEEL_ACT_UNRECORDED: u32 = 2;
/// keel_actor_act: the host or a person chose; the action records are read.
pub const KEEL_ACT_GIVEN: u32 = 4;

/// keel_actor_observe: the episode goes on.
pub const KEEL_EPISODE_RUNNING: i32 = 0;
/// keel_actor_observe: it ended; nothing follows.
pub const KEEL_EPISODE_TERMINATED: i32 = 1;
/// keel_actor_observe: it was cut off, and would have gone on from the final observation.
pub const KEEL_EPISODE_TRUNCATED: i32 = 2;
/// keel_actor_observe: nobody knows how it would have gone on; its last step is not learned from.
pub const KEEL_EPISODE_ABANDONED: i32 = 3;

impl Noun for Actor {
    const TYPE: Type = Type::Actor;
}

/// Makes an actor: one for each host thread that acts. Slots are the session's: one that acts for a slot has it until it is
/// destroyed, and what is drawn and learned is the same however they are split among actors. It goes on with the slots of
/// an actor that was destroyed, or was saved in mid-episode, in the order in which they were made; a slot of another one
/// that is gone begins a new episode. With {"recorded": false} it leaves nothing to updates and checkpoints, and its slots
/// are its own: for evaluation, where a recurrent policy remembers the episode.
///
/// session: kept alive; of a control policy, which is set. json: nullable, UTF-8. actor: out, the caller ends it with
/// keel_actor_destroy. error: nullable. Threads: any. Status: KEEL_E_CONFIG, KEEL_E_STATE: no policy, or no session of a
/// control policy. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_actor_create(
    session: keel_session,
    json: *const c_char,
    json_length: usize,
    actor: *mut keel_actor,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let actor = Out::required("actor", actor)?;
        let session = find_one::<ControlSession>(session)?;
        let config = config::parse::<config::Actor>(text::json(json, json_length)?)?;
        let made = if config.recorded { Actor::create(&session)? } else { Actor::create_unrecorded(&session)? };
        actor.write(handle::insert(made)?);
        Ok(())
    })
}

/// Chooses an action for each of some slots, from the policy that was published last, all at once. A slot begins an episode
/// with its first act and after each that has ended; until then it acts and is observed in turn. Touches no libtorch, and
/// allocates nothing once as many slots were seen; but a network that is a script runs in libtorch.
///
/// actor: changed. slots: count of them, distinct, below 2^20, borrowed. observations: a record for each slot,
/// observation_bytes in all; keel_session_layout says what lies where. actions: action_bytes in all, a record for each
/// slot, apart from the observations, written, or read with KEEL_ACT_GIVEN. What is recorded is learned from as if the
/// policy had drawn it: say KEEL_ACT_UNRECORDED with KEEL_ACT_GREEDY. flags: KEEL_ACT_… or 0. decisions: out, nullable, count numbers, those of
/// this actor one by one. error: nullable. Threads: any, one at a time. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE,
/// KEEL_E_DATA: a mask without a legal choice, an action that is not legal; KEEL_E_STATE: a slot that acted was not
/// observed; KEEL_E_IN_USE: a slot is another actor's; KEEL_E_CALLBACK: the network's script threw; KEEL_E_CONCURRENT; KEEL_FULL: more of this
/// actor's steps than queue_capacity would wait for an update. No slot has acted then. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_actor_act(
    actor: keel_actor,
    slots: *const u32,
    count: usize,
    observations: *const c_void,
    observation_bytes: usize,
    actions: *mut c_void,
    action_bytes: usize,
    flags: u32,
    decisions: *mut u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(plain error, {
        let actor = handle::get::<Actor>("actor", actor)?;
        let slots = text::slice("slots", slots, count)?;
        let observations = text::slice("observations", observations.cast::<u8>(), observation_bytes)?;
        text::check_apart("actions", actions.cast_const(), action_bytes, "observations", observations)?;
        let actions = text::slice_mut("actions", actions.cast::<u8>(), action_bytes)?;
        let decisions = match decisions.is_null() {
            true => None,
            false => Some(text::slice_mut("decisions", decisions, count)?),
        };
        actor.act(slots, observations, actions, how(flags)?, decisions)
    })
}

/// As keel_actor_act, with the observations and the actions in DLPack tensors of the host's, on the CPU or a CUDA device, of any
/// strides. The actions are written into a tensor of the host's rather than returned as a new one, so that they come to lie
/// where its simulator reads them, and so that KEEL_ACT_GIVEN can read them there. In a session that learns on a CUDA device,
/// with all vectors in its memory, observations are never copied to the host: the policy is computed there and the steps are kept
/// there for updates; masks, and what the actions are drawn from, come to the host, and the same numbers lead to what
/// records lead to, up to rounding. In every other case the tensors are copied to the host and the same numbers lead to the same
/// actions and the same recording. Final observations are records in both.
///
/// actor: changed. slots: count of them, distinct, below 2^20, borrowed. observations: tensors, groups of them, taken over, one for each
/// observation group of keel_session_layout, in its order, float32, uint8 or bool for a mask, [count, numbers] (more axes
/// are taken as one). actions: int32 [count, numbers] where all actions are discrete, float32 where all are continuous, or
/// uint8 [count, bytes], action records; not read-only. All tensors are taken over: the deleter of each is called exactly
/// once in every outcome, after the last read or write of its memory. stream: the cudaStream_t behind whose work the
/// tensors are; NULL: the one that libtorch uses on this thread, by default CUDA's. flags: as keel_actor_act.
/// decisions: out, nullable, as there. error: nullable. Threads: any, one at a time. Status: as keel_actor_act; KEEL_E_VERSION, KEEL_E_DEVICE,
/// KEEL_E_UNSUPPORTED: another type of numbers. No slot has acted then and no action is written. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_actor_act_dlpack(
    actor: keel_actor,
    slots: *const u32,
    count: usize,
    observations: *const *mut DLManagedTensorVersioned,
    groups: usize,
    actions: *mut DLManagedTensorVersioned,
    stream: *mut c_void,
    flags: u32,
    decisions: *mut u64,
    error: *mut keel_error,
) -> keel_status {
    guard!(error, {
        let given = tensor::take_all("observations", observations, groups);
        let actions = tensor::take_one("actions", actions);
        let actor = handle::get::<Actor>("actor", actor)?;
        let slots = text::slice("slots", slots, count)?;
        let decisions = match decisions.is_null() {
            true => None,
            false => Some(text::slice_mut("decisions", decisions, count)?),
        };
        let tensors = Tensors { observations: given?, actions: actions?, stream: Stream(stream) };
        actor.act_tensors(slots, tensors, how(flags)?, decisions)
    })
}

/// Tells what some slots saw since they acted. What several calls between two acts of a slot tell adds up.
///
/// actor: changed. slots: count of them, distinct, that acted, borrowed. rewards: rewards_count of them, one for each
/// slot. status: KEEL_EPISODE_… for each slot. final_observations: a record for each slot that is truncated, in their
/// order, final_bytes in all; NULL with 0 where none is. error: nullable. Threads: any, one at a time.
/// Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_INVALID_ARGUMENT, KEEL_E_STATE: a slot that has not acted, or whose episode has
/// ended; KEEL_E_CONCURRENT. Nothing was observed then. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_actor_observe(
    actor: keel_actor,
    slots: *const u32,
    count: usize,
    rewards: *const f32,
    rewards_count: usize,
    status: *const i32,
    final_observations: *const c_void,
    final_bytes: usize,
    error: *mut keel_error,
) -> keel_status {
    guard!(plain error, {
        let actor = handle::get::<Actor>("actor", actor)?;
        let slots = text::slice("slots", slots, count)?;
        let rewards = text::slice("rewards", rewards, rewards_count)?;
        let episodes = text::slice("status", status, count)?;
        let finals = text::slice("final_observations", final_observations.cast::<u8>(), final_bytes)?;
        actor.observe(slots, rewards, episodes, finals)
    })
}

/// Ends the handle. What its slots did stays with the session.
///
/// actor: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn keel_actor_destroy(actor: keel_actor) {
    guard!(or(), { handle::retire::<Actor>(actor) })
}

fn how(flags: u32) -> Result<Act> {
    let known = KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED | KEEL_ACT_GIVEN;
    if flags & !known != 0 {
        return Err(Error::argument(format!("flags: expected a sum of KEEL_ACT_…, got {flags}")));
    }
    let has = |flag: u32| flags & flag != 0;
    Ok(Act { greedy: has(KEEL_ACT_GREEDY), unrecorded: has(KEEL_ACT_UNRECORDED), given: has(KEEL_ACT_GIVEN) })
}
