// Holds the rules to what Gymnasium's own environments answered (tests/golden/mujoco), starts and ends to what it says.
#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "task.h"

namespace {

struct Close {
  void operator()(Simulation *simulation) const { simulation_close(simulation); }
};
using Owned = std::unique_ptr<Simulation, Close>;

Owned open_task(const Task *task) {
  char message[1024] = "";
  Owned simulation(simulation_open(task, MUJOCO_MODELS, message, sizeof message));
  EXPECT_TRUE(simulation) << message;
  return simulation;
}

std::vector<double> numbers(std::istream &file, int count) {
  std::vector<double> read(count);
  for (double &number : read) file >> number;
  return read;
}

class Rules : public testing::TestWithParam<const char *> {
 protected:
  const Task *task = task_named(GetParam());
  Owned simulation = open_task(task);
  const int joints = (task->observations + 1) / 2;
  int steps = 0, falls = 0;

  void expect_observed(const std::vector<double> &expected) const {
    const double *found = simulation_observation(simulation.get());
    for (int i = 0; i < task->observations; ++i) expect_near(found[i], expected[i]);
  }

  void expect_near(double found, double expected) const {
    EXPECT_NEAR(found, expected, 1e-12 * (1 + std::fabs(expected))) << "step " << steps;
  }

  // One trajectory of the file, in the world as the one before left it; whether there was another.
  bool follow(std::istream &file) {
    int length = 0;
    if (!(file >> length)) return false;
    const auto positions = numbers(file, joints), velocities = numbers(file, joints);
    simulation_set(simulation.get(), positions.data(), velocities.data());
    expect_observed(numbers(file, task->observations));
    for (int step = 0; step < length; ++step, ++steps) {
      const auto action = numbers(file, task->actions), observation = numbers(file, task->observations);
      const auto outcome = numbers(file, 2);
      const std::vector<float> torques(action.begin(), action.end());
      const Outcome found = simulation_step(simulation.get(), torques.data());
      expect_observed(observation);
      expect_near(found.reward, outcome[0]);
      EXPECT_EQ(found.terminated, outcome[1]) << "step " << steps;
      falls += found.terminated;
    }
    EXPECT_TRUE(file) << "the file ends in the middle";
    return true;
  }
};

TEST_P(Rules, AreGymnasiums) {
  for (int time = 0; time < 2; ++time) {
    std::ifstream file(std::string(MUJOCO_GOLDEN "/") + task->name + ".txt");
    while (!HasFailure() && follow(file)) {
    }
  }
  EXPECT_GE(steps, 200) << MUJOCO_GOLDEN;
  EXPECT_EQ(falls > 0, GetParam() != std::string("half_cheetah"));
}

TEST_P(Rules, StartNearTheModelsOwn) {
  const bool cheetah = GetParam() == std::string("half_cheetah");
  const double noise = cheetah ? 0.1 : 0.005, variance = noise * noise * (cheetah ? 1 : 1.0 / 3);
  Dice dice = {1};
  double most = 0, squares = 0;
  for (int start = 0; start < 2000; ++start) {
    simulation_reset(simulation.get(), &dice);
    const double *observed = simulation_observation(simulation.get());
    for (int i = 0; i < joints - 1; ++i)
      most = std::max(most, std::fabs(observed[i] - (!cheetah && i == 0 ? 1.25 : 0)));
    for (int i = joints - 1; i < task->observations; ++i) squares += observed[i] * observed[i] / joints / 2000;
  }
  EXPECT_LE(most, noise);
  EXPECT_GT(most, 0.99 * noise);
  EXPECT_NEAR(squares, variance, 0.05 * variance);
}

INSTANTIATE_TEST_SUITE_P(Tasks, Rules, testing::Values("half_cheetah", "hopper", "walker2d"),
                         [](const auto &named) { return std::string(named.param); });

TEST(Episode, IsCutOffAfterAThousandStepsOfItsOwn) {
  const Owned simulation = open_task(task_named("half_cheetah"));
  const float still[TASK_ACTIONS] = {0};
  Dice dice = {1};
  for (int step = 0; step < 10; ++step) simulation_step(simulation.get(), still);
  simulation_reset(simulation.get(), &dice);
  for (int step = 1; step <= 1001; ++step) {
    const Outcome outcome = simulation_step(simulation.get(), still);
    ASSERT_EQ(outcome.truncated, step == 1000) << "step " << step;
    ASSERT_FALSE(outcome.terminated);
  }
}

TEST(Episode, ThatEndsInItsLastStepIsNotCutOff) {
  const Owned simulation = open_task(task_named("hopper"));
  const float torques[TASK_ACTIONS] = {1, 1, 1};
  Outcome outcome = {};
  for (int step = 1; step <= 1000; ++step) outcome = simulation_step(simulation.get(), torques);
  EXPECT_TRUE(outcome.terminated);
  EXPECT_FALSE(outcome.truncated);
}

TEST(Task, OfNoKnownNameIsNone) { EXPECT_EQ(task_named("ant"), nullptr); }

TEST(Models, ThatAreMissingAreNamed) {
  char message[1024] = "";
  EXPECT_EQ(simulation_open(task_named("hopper"), "nowhere", message, sizeof message), nullptr);
  EXPECT_NE(std::string(message).find("nowhere/hopper.xml"), std::string::npos) << message;
}

}  // namespace
