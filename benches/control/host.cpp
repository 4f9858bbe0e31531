#include "host.hpp"

#include <numeric>
#include <stdexcept>

namespace bench {
namespace {

std::string network_json(const Shape &shape) {
  const std::string action = shape.choices ? R"("discrete", "choices": )" + std::to_string(shape.choices)
                                           : R"("continuous", "size": )" + std::to_string(shape.dimensions);
  return R"({"config": {"model_type": "control", "hidden": [64, 64], "observations": [{"type": "vector", "name": "o", )"
         R"("size": )" + std::to_string(shape.inputs) + R"(}], "actions": [{"name": "a", "type": )" + action + "}]}}";
}

}  // namespace

const Shape &shape_named(const std::string &name) {
  for (const Shape *shape : {&walker, &cart})
    if (name == shape->name) return *shape;
  throw std::runtime_error("no shape " + name);
}

std::string session_json(const std::string &algorithm, int threads) {
  return R"({"algorithm": {"type": "control_ppo")" + algorithm + R"(}, "threads": )" + std::to_string(threads) +
         R"(, "optimizer": {"learning_rate": 3e-4, "epsilon": 1e-5, "max_grad_norm": 0.5}})";
}

Host::Host(const Shape &shape, const std::string &json, const std::string &runtime_json)
    : runtime(keel::Runtime::create(runtime_json)),
      policy(keel::Model::create(runtime, network_json(shape))),
      session(keel::Session::create(runtime, json)),
      actor([&] {
        session.set_model(KEEL_ROLE_POLICY, policy);
        return keel::Actor::create(session);
      }()) {}

void Host::update() const {
  if (const auto job = session.update()) job->run();
}

std::vector<uint32_t> first_slots(std::size_t count) {
  std::vector<uint32_t> slots(count);
  std::iota(slots.begin(), slots.end(), 0);
  return slots;
}

}  // namespace bench
