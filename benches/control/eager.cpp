#include "eager.hpp"

#include <torch/torch.h>

#include <cmath>
#include <cstring>

namespace bench {

struct Eager::Network {
  Shape shape;
  int rows;
  torch::nn::Linear first, second, last;
  torch::Tensor log_deviation;
};

Eager::Eager(const Shape &shape, int rows) {
  torch::set_num_threads(1);
  const int outputs = shape.choices + shape.dimensions;
  network_.reset(new Network{shape, rows, torch::nn::Linear(shape.inputs, 64), torch::nn::Linear(64, 64),
                             torch::nn::Linear(64, outputs), torch::zeros({shape.dimensions})});
}

Eager::~Eager() = default;

void Eager::act(const float *observations, void *actions) const {
  const torch::InferenceMode no_gradient;
  const Network &net = *network_;
  const auto linear = [](const torch::Tensor &x, const torch::nn::Linear &layer) {
    return torch::linear(x, layer->weight, layer->bias);
  };
  torch::Tensor x = torch::from_blob(const_cast<float *>(observations), {net.rows, net.shape.inputs});
  x = torch::tanh(linear(x, net.first));
  x = torch::tanh(linear(x, net.second));
  x = linear(x, net.last);
  torch::Tensor action, log_prob;
  if (net.shape.choices) {
    const torch::Tensor log_probs = torch::log_softmax(x, 1);
    action = torch::multinomial(torch::exp(log_probs), 1);
    log_prob = log_probs.gather(1, action);
    action = action.to(torch::kInt);
  } else {
    const torch::Tensor noise = torch::randn_like(x);
    action = x + torch::exp(net.log_deviation) * noise;
    log_prob = (-0.5 * noise * noise - net.log_deviation - 0.5 * std::log(2 * M_PI)).sum(1);
  }
  std::memcpy(actions, action.const_data_ptr(), action.nbytes());
}

}  // namespace bench
