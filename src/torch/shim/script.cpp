// A TorchScript module: loaded from bytes, asked for its tensors, run. Plain interpretation: no profiling of the first
// calls, no fusion, so that a run gives the bits of the operators that it names, and the first run those of the last.
#include "shim.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>
#include <stdexcept>

namespace {

// forward(self, Tensor) -> (Tensor, Tensor)
void check_forward(const torch::jit::Module& module) {
    const auto method = module.find_method("forward");
    TORCH_CHECK(method.has_value(), "expected a method forward, found none");
    const auto& schema = method->function().getSchema();
    const bool takes = schema.arguments().size() == 2 && schema.arguments()[1].type()->kind() == c10::TypeKind::TensorType;
    bool gives = schema.returns().size() == 1 && schema.returns()[0].type()->kind() == c10::TypeKind::TupleType;
    if (gives) {
        const auto elements = schema.returns()[0].type()->containedTypes();
        gives = elements.size() == 2;
        for (const auto& element : elements) gives = gives && element->kind() == c10::TypeKind::TensorType;
    }
    std::ostringstream found;
    found << schema;
    TORCH_CHECK(takes && gives, "forward: expected (Tensor observation) -> (Tensor outputs, Tensor values), got ", found.str());
}

torch::jit::Module loaded(const std::string& bytes) {
    std::istringstream stream(bytes);
    auto module = torch::jit::load(stream, c10::Device(c10::kCPU), /*load_debug_files=*/false);
    check_forward(module);
    module.eval();
    return module;
}

// What went wrong stands behind where it did, line after line of the script: longer than a Failure.
std::string last_line(const std::string& report) {
    const auto text = report.substr(0, report.find("\nException raised"));
    const auto end = text.find_last_not_of(" \n");
    const auto begin = text.find_last_of('\n', end);
    return end == std::string::npos ? report : text.substr(begin + 1, end - begin);
}

c10::ivalue::TupleElements run(torch::jit::Module& module, const at::Tensor& observations) {
    torch::jit::GraphOptimizerEnabledGuard plain(false);
    try {
        return module.forward({observations}).toTupleRef().elements();
    } catch (const std::exception& error) {
        throw std::runtime_error(last_line(error.what()));
    }
}

}  // namespace

int32_t shim_script_load(const char* bytes, size_t size, torch::jit::Module** output, keel::Failure* failure) {
    SHIM_TRY(failure, *output = new torch::jit::Module(loaded(std::string(bytes, size))))
}

void shim_script_destroy(torch::jit::Module* module) { delete module; }

// The tensors of the module and of all within it: parameters first, in their order, then whatever else is a tensor.
int32_t shim_script_tensors(const torch::jit::Module* module, void* context,
                            void (*each)(void* context, const char* name, at::Tensor* tensor, int32_t parameter),
                            keel::Failure* failure) {
    SHIM_TRY(failure, {
        for (const auto& named : module->named_parameters(/*recurse=*/true)) {
            each(context, named.name.c_str(), new at::Tensor(named.value), 1);
        }
        for (const auto& named : module->named_attributes(/*recurse=*/true)) {
            if (!named.value.isTensor()) continue;
            bool parameter = false;
            for (const auto& other : module->named_parameters(/*recurse=*/true)) parameter |= other.name == named.name;
            if (!parameter) each(context, named.name.c_str(), new at::Tensor(named.value.toTensor()), 0);
        }
    })
}

int32_t shim_script_forward(torch::jit::Module* module, const at::Tensor* observations, at::Tensor** outputs,
                            at::Tensor** values, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const auto said = run(*module, *observations);
        TORCH_CHECK(said[0].toTensor().defined() && said[1].toTensor().defined(), "forward: a tensor that is none");
        *outputs = new at::Tensor(said[0].toTensor());
        *values = new at::Tensor(said[1].toTensor());
    })
}

// Makes whatever the interpreter makes on first use.
int32_t shim_script_warm_up(keel::Failure* failure) {
    SHIM_TRY(failure, {
        torch::jit::Module written("warm_up");
        written.register_parameter("weight", at::ones({1, 1}), false);
        written.define("def forward(self, x):\n    return torch.tanh(x * self.weight), x.sum(1)\n");
        std::ostringstream bytes;
        written.save(bytes);
        auto module = loaded(bytes.str());
        run(module, at::ones({1, 1}).requires_grad_())[0].toTensor().sum().backward();
    })
}
