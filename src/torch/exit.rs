//! A host that returns from `main` while one of keel's threads works: libtorch is warmed up first, then one exit
//! handler is registered, so that the stop hook runs before anything of libtorch is torn down.

use super::foreign::{self, check};
use super::{cuda, decode_attention, fused_adamw, token_log_probs, AdamW, Generator};
use crate::error::Result;
use parking_lot::Mutex;
use tch::{Device, Kind, Tensor};

static HOOK: Mutex<Option<extern "C" fn()>> = Mutex::new(None);
static REGISTERED: Mutex<bool> = Mutex::new(false);

/// What the exit handler calls: it raises the stop flag and waits for the running slice. Set before [`warm_up`].
pub fn on_exit(hook: extern "C" fn()) {
    *HOOK.lock() = Some(hook);
}

/// Runs a tiny round of the operators that jobs use on the calling thread, then registers the exit handler; later calls
/// do nothing. CUDA is decided by then: it cannot be loaded afterwards.
///
/// Objects that libtorch makes on first use are destroyed at exit in reverse order: those made before the handler was
/// registered outlive it.
pub fn warm_up() -> Result<()> {
    let mut registered = REGISTERED.lock();
    if *registered {
        return Ok(());
    }
    cuda::close();
    tch::with_grad(exercise)?;
    // SAFETY: `run_hook` is valid for the life of the process: the library is never unloaded.
    check(|failure| unsafe { foreign::shim_at_exit(run_hook, failure) })?;
    *registered = true;
    Ok(())
}

extern "C" fn run_hook() {
    let hook = *HOOK.lock();
    if let Some(hook) = hook {
        hook();
    }
}

fn exercise() -> Result<()> {
    let options = (Kind::Float, Device::Cpu);
    let data = Tensor::f_zeros([8 * 4], options)?;
    Generator::new(0)?.normal(&data, 0.0, 1.0)?;
    let head = data.f_view([8, 4])?.f_detach()?.f_set_requires_grad(true)?;
    let tokens = Tensor::f_from_slice(&[1i64, 2, 3, 5])?;
    let hidden = head.f_index_select(0, &tokens)?;
    let heads = hidden.f_matmul(&hidden.f_tr()?)?.f_tanh()?.f_view([1, 1, 4, 4])?;
    let no_mask = None::<&Tensor>;
    let attended = Tensor::f_scaled_dot_product_attention(&heads, &heads, &heads, no_mask, 0.0, true, None, false)?;
    let mixed = attended.f_silu()?.f_gelu("tanh")?.f_softmax(-1, Kind::Float)?;
    let normed = mixed.f_layer_norm([4], None::<&Tensor>, None::<&Tensor>, 1e-5, false)?;
    let states = Tensor::f_cat(&[&normed, &mixed], 2)?.f_view([8, 4])?.f_narrow(0, 0, 4)?;
    let (log_probs, entropies) = token_log_probs(&states, &head, &tokens, 1.0, 1 << 16)?;
    let loss = log_probs.f_add(&entropies)?.f_exp()?.f_mean(Kind::Float)?;
    loss.f_backward()?;
    step(&data, &head.f_grad()?)?;
    let cache = normed.f_detach()?;
    let rows = Tensor::f_from_slice(&[0i64])?;
    let query = cache.f_view([4, 1, 4])?.f_narrow(0, 0, 1)?;
    let _ = decode_attention(&query, &cache, &cache, &rows, &rows.f_ones_like()?, 1.0)?;
    Ok(())
}

fn step(data: &Tensor, gradient: &Tensor) -> Result<()> {
    let rule = AdamW { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, weight_decay: 0.0, epsilon: 1e-8 };
    let count = Tensor::f_zeros([1], (Kind::Float, Device::Cpu))?;
    let flat = gradient.f_view([-1])?;
    super::clip_gradient(&flat, 1.0)?;
    fused_adamw(&rule, data, &flat, &data.f_zeros_like()?, &data.f_zeros_like()?, &count)
}
