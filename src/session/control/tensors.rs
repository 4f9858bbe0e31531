//! Acting on tensors, the host's own memory on the CPU or a CUDA device: one for each group of observations, and one of
//! actions.
//!
//! Where a session learns on a device and its vectors lie there, they stay there: the policy is computed and the steps are
//! recorded there, and the host has what it draws from. All other tensors become records and go the way of all records, so
//! that the same numbers lead to the same actions, whatever they lie in: device memory is read in one copy a group. Actions
//! are written in one copy. Each is over when the call returns.

use super::actor::{Act, Actor, Seen};
use crate::error::{Error, Result, Status};
use crate::model::control::{Branch, GroupPlace, Spec};
use crate::torch::cuda::{self, Stream};
use crate::torch::dlpack::Given;
use tch::{no_grad_guard, Device, Kind, Tensor};

/// A host's tensors and when they can be read.
pub struct Tensors {
    /// One for each group of the observation record, in order, each [n, …].
    pub observations: Vec<Given>,
    /// [n, A] int32 or float32 where all actions are of one kind, or [n, bytes] uint8, records.
    pub actions: Given,
    /// Behind whose work they are.
    pub stream: Stream,
}

impl Actor {
    /// As `act`, with observations and actions in tensors. Whatever is refused, no slot has moved and no action is written.
    pub fn act_tensors(&self, slots: &[u32], tensors: Tensors, how: Act, decisions: Option<&mut [u64]>) -> Result<()> {
        let _no_grad = no_grad_guard();
        let spec = self.spec();
        let groups: Vec<GroupPlace> = spec.observation_groups().collect();
        if groups.len() != tensors.observations.len() {
            let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
            let (expected, found) = (groups.len(), tensors.observations.len());
            let message = format!("observations: expected {expected} tensors, one for each of {names:?}, got {found}");
            return Err(Error::shape(message));
        }
        let mut observations = Vec::with_capacity(groups.len());
        for (given, group) in tensors.observations.into_iter().zip(&groups) {
            let of_group = |error: Error| error.within(format_args!("observations: {}", group.name));
            observations.push(given.view().and_then(|tensor| check(tensor, group, slots.len())).map_err(of_group)?);
        }
        let in_actions = |error: Error| error.within("actions");
        let actions = writable(tensors.actions, spec, slots.len()).map_err(in_actions)?;
        wait(tensors.stream, observations.iter().chain([&actions]))?;
        let mut chosen = match how.given {
            true => bytes(&actions)?,
            false => vec![0; slots.len() * spec.action_bytes],
        };
        match self.session().acts_on {
            Some(device) if lie_on(device, &observations, &groups) => {
                let done = self.act_there(slots, &observations, &groups, &mut chosen, how, decisions);
                done.inspect_err(|_| cuda::finish(device))?;
            }
            _ => self.act(slots, &records(spec, &observations, &groups, slots.len())?, &mut chosen, how, decisions)?,
        }
        if !how.given && !slots.is_empty() {
            let chosen =
                Tensor::f_from_slice(&chosen)?.f_view_dtype(actions.kind())?.f_view([slots.len() as i64, -1])?;
            actions.shallow_clone().f_copy_(&chosen)?;
        }
        Ok(())
    }

    /// As `decide`, on vectors that lie where the session learns: they are copied there, and masks come to the host.
    fn act_there(
        &self,
        slots: &[u32],
        observations: &[Tensor],
        groups: &[GroupPlace],
        chosen: &mut [u8],
        how: Act,
        decisions: Option<&mut [u64]>,
    ) -> Result<()> {
        let count = slots.len() as i64;
        let of = |masks: bool| observations.iter().zip(groups).filter(move |(_, group)| group.octets == masks);
        let flat = |(tensor, group): (&Tensor, &GroupPlace)| tensor.f_reshape([count, group.count as i64]);
        let vectors = of(false).map(flat).collect::<std::result::Result<Vec<_>, _>>()?;
        let rows = Tensor::f_cat(&vectors, 1)?; // [n, O]
        let octets = |tensor: Tensor| tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Uint8);
        let masks = of(true).map(|mask| octets(flat(mask)?)).collect::<std::result::Result<Vec<_>, _>>()?;
        let masks = if masks.is_empty() { Vec::new() } else { bytes(&Tensor::f_cat(&masks, 1)?)? };
        self.decide(slots, Seen::Placed { rows: &rows, masks: &masks }, chosen, how, decisions)
    }
}

/// Whether all vectors lie on a device.
fn lie_on(device: Device, observations: &[Tensor], groups: &[GroupPlace]) -> bool {
    let vectors = observations.iter().zip(groups).filter(|(_, group)| !group.octets);
    vectors.clone().count() > 0 && vectors.into_iter().all(|(tensor, _)| tensor.device() == device)
}

/// Tensors, one a group, as records.
fn records(spec: &Spec, observations: &[Tensor], groups: &[GroupPlace], count: usize) -> Result<Vec<u8>> {
    let mut records = vec![0u8; count * spec.observation_bytes];
    for (tensor, group) in observations.iter().zip(groups) {
        let bytes = bytes(tensor)?;
        let width = bytes.len() / count.max(1);
        let rows = records.chunks_exact_mut(spec.observation_bytes).zip(bytes.chunks_exact(width.max(1)));
        rows.for_each(|(record, row)| record[group.offset..group.offset + width].copy_from_slice(row));
    }
    Ok(records)
}

/// Refuses a tensor that is not a row of the group for each slot.
fn check(tensor: Tensor, group: &GroupPlace, count: usize) -> Result<Tensor> {
    let (shape, kind) = (tensor.size(), tensor.kind());
    let fits = shape.first() == Some(&(count as i64)) && shape[1..].iter().product::<i64>() == group.count as i64;
    let (known, expected): (&[Kind], &str) = match group.octets {
        true => (&[Kind::Uint8, Kind::Bool], "uint8 or bool"),
        false => (&[Kind::Float], "float32"),
    };
    match (fits && shape.len() > 1, known.contains(&kind)) {
        (true, true) => Ok(tensor),
        (false, _) => Err(Error::shape(format!("expected the shape [{count}, {}], got {shape:?}", group.count))),
        (_, false) => Err(Error::new(Status::Unsupported, format!("expected {expected}, got {kind:?}"))),
    }
}

/// The tensor that takes the actions, or tells those that were given.
fn writable(given: Given, spec: &Spec, count: usize) -> Result<Tensor> {
    if given.is_read_only()? {
        return Err(Error::argument("expected memory that may be written, got a read-only tensor"));
    }
    let tensor = given.view()?;
    let discrete = |branch: &Branch| matches!(branch, Branch::Discrete { .. });
    let (all, none) = (spec.branches.iter().all(discrete), !spec.branches.iter().any(discrete));
    let width = match tensor.kind() {
        Kind::Int if all => spec.actions,
        Kind::Float if none => spec.actions,
        Kind::Uint8 => spec.action_bytes,
        other => {
            let numbers = if all {
                "int32 or "
            } else if none {
                "float32 or "
            } else {
                ""
            };
            return Err(Error::new(Status::Unsupported, format!("expected {numbers}uint8 (records), got {other:?}")));
        }
    };
    match tensor.size() == [count as i64, width as i64] {
        true => Ok(tensor),
        false => Err(Error::shape(format!("expected the shape [{count}, {width}], got {:?}", tensor.size()))),
    }
}

/// What is given to the tensors' devices from now on waits for the host's stream.
fn wait<'a>(stream: Stream, tensors: impl Iterator<Item = &'a Tensor>) -> Result<()> {
    if stream.is_null() {
        return Ok(());
    }
    let mut devices: Vec<usize> = tensors
        .filter_map(|tensor| if let Device::Cuda(index) = tensor.device() { Some(index) } else { None })
        .collect();
    devices.dedup();
    match devices.as_slice() {
        [device] => cuda::wait_for(*device, stream),
        [] => Err(Error::argument("stream: expected NULL, since no tensor is in CUDA memory")),
        _ => Err(Error::argument("stream: expected NULL, or all tensors of one CUDA device")),
    }
}

/// The bytes of a tensor in the order of its elements.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    if tensor.numel() == 0 {
        return Ok(Vec::new());
    }
    let flat = tensor.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([-1])?;
    let flat = if flat.kind() == Kind::Bool { flat.f_to_kind(Kind::Uint8)? } else { flat.f_view_dtype(Kind::Uint8)? };
    let mut bytes = vec![0u8; flat.numel()];
    flat.f_copy_data(&mut bytes, flat.numel())?;
    Ok(bytes)
}
