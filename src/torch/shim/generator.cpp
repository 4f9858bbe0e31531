// Random numbers with a state of their own: one Mersenne twister per session, never libtorch's global one.
#include "shim.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

int32_t shim_generator_create(uint64_t seed, at::Generator** output, keel::Failure* failure) {
    SHIM_TRY(failure, *output = new at::Generator(at::make_generator<at::CPUGeneratorImpl>(seed)))
}

void shim_generator_destroy(at::Generator* generator) { delete generator; }

int32_t shim_generator_normal(at::Generator* generator, at::Tensor* tensor, double mean, double deviation,
                              keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::NoGradGuard guard;
        tensor->normal_(mean, deviation, *generator);
    })
}

int32_t shim_generator_uniform(at::Generator* generator, at::Tensor* tensor, double low, double high,
                               keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::NoGradGuard guard;
        tensor->uniform_(low, high, *generator);
    })
}

int32_t shim_generator_state(const at::Generator* generator, at::Tensor** output, keel::Failure* failure) {
    SHIM_TRY(failure, *output = new at::Tensor(generator->get_state()))
}

int32_t shim_generator_set_state(at::Generator* generator, const at::Tensor* state, keel::Failure* failure) {
    SHIM_TRY(failure, generator->set_state(*state))
}
