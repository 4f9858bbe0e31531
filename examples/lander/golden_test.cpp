//! Holds the example's moon to golden/flights.txt, which Gymnasium's LunarLander-v3 flew (golden/make_flights.py).
//!
//! Rewards and observations of given poses are exact. Flights are not: Gymnasium has Box2D 2.3, which solves the limits of the
//! legs' joints and contacts in another way than 2.4. In the air the two stay together to the tolerances below; once something
//! touches the ground they part, and what is left to ask is how the flight ends.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "flight.hpp"

namespace lander {
namespace {

struct Moment {
  Thrust thrust;
  Point noise;
  Pose pose;
  double reward;
  bool terminated;
  std::vector<float> seen;  ///< the observation, where the file has it
};

struct Recording {
  std::string name;
  bool continuous;
  std::array<double, Terrain::POINTS + 1> heights;
  Point push;
  Pose start;
  std::vector<Moment> moments;

  Fate fate_after(std::size_t step) const {
    if (!moments[step].terminated) return Fate::FLIES;
    return moments[step].reward > 0 ? Fate::RESTS : Fate::LOST;
  }
};

Pose read_pose(std::istream &in) {
  Pose pose;
  int legs[2];
  in >> pose.x >> pose.y >> pose.vx >> pose.vy >> pose.angle >> pose.turn >> legs[0] >> legs[1];
  pose.legs = {legs[0] == 1, legs[1] == 1};
  return pose;
}

Thrust read_thrust(std::istream &in, bool continuous) {
  if (continuous) {
    Throttle throttle;
    in >> throttle.main >> throttle.side;
    return thrust(throttle);
  }
  std::int32_t choice;
  in >> choice;
  return thrust(choice);
}

void read_line(const std::string &line, std::vector<Recording> &recordings) {
  std::istringstream in(line);
  std::string what;
  in >> what;
  if (what == "flight") recordings.emplace_back();
  Recording &last = recordings.back();
  if (what == "flight") {
    std::string kind;
    in >> last.name >> kind;
    last.continuous = kind == "continuous";
  } else if (what == "heights") {
    for (double &height : last.heights) in >> height;
  } else if (what == "force") {
    in >> last.push.x >> last.push.y;
  } else if (what == "start") {
    last.start = read_pose(in);
  } else if (what == "step") {
    Moment moment;
    moment.thrust = read_thrust(in, last.continuous);
    in >> moment.noise.x >> moment.noise.y;
    moment.pose = read_pose(in);
    in >> moment.reward >> moment.terminated;
    last.moments.push_back(moment);
  } else if (what == "seen") {
    for (float value; in >> value;) last.moments.back().seen.push_back(value);
    return;
  }
  ASSERT_TRUE(in) << line;
}

const std::vector<Recording> &recordings() {
  static const std::vector<Recording> all = [] {
    std::vector<Recording> read;
    std::ifstream file(FLIGHTS);
    for (std::string line; std::getline(file, line);) read_line(line, read);
    return read;
  }();
  return all;
}

TEST(Golden, HoldsEveryKindOfEnd) {
  ASSERT_EQ(recordings().size(), 5u);
  int rests = 0, out_of_sight = 0, crashes = 0;
  for (const Recording &flight : recordings()) {
    ASSERT_GT(flight.moments.size(), 80u) << flight.name;
    const std::size_t last = flight.moments.size() - 1;
    const bool out = std::abs(state(flight.moments[last].pose)[0]) >= 1;
    rests += flight.fate_after(last) == Fate::RESTS;
    out_of_sight += flight.fate_after(last) == Fate::LOST && out;
    crashes += flight.fate_after(last) == Fate::LOST && !out;
  }
  EXPECT_EQ(rests, 2);
  EXPECT_EQ(out_of_sight, 2);
  EXPECT_EQ(crashes, 1);
}

TEST(Golden, RewardsOfGivenPosesAreExact) {
  for (const Recording &flight : recordings()) {
    double before = potential(state(flight.start));
    for (std::size_t step = 0; step < flight.moments.size(); ++step) {
      const Moment &moment = flight.moments[step];
      const double now = potential(state(moment.pose));
      EXPECT_NEAR(reward(before, now, moment.thrust, flight.fate_after(step)), moment.reward, 1e-12)
          << flight.name << " step " << step;
      before = now;
    }
  }
}

TEST(Golden, ObservationsOfGivenPosesAreExact) {
  int compared = 0;
  for (const Recording &flight : recordings())
    for (const Moment &moment : flight.moments) {
      if (moment.seen.empty()) continue;
      ASSERT_EQ(moment.seen.size(), 8u);
      const Observation seen = observation(state(moment.pose));
      for (int i = 0; i < 8; ++i) EXPECT_EQ(seen.values[i], moment.seen[i]) << flight.name << " number " << i;
      ++compared;
    }
  EXPECT_GE(compared, 30);
}

// Differences of the observation's first six numbers.
struct Tolerance {
  std::size_t until;
  std::array<double, 6> most;
  double reward;
};
constexpr Tolerance TOLERANCES[] = {{50, {3e-5, 3e-5, 6e-4, 8e-4, 6e-4, 1.2e-2}, 0.05},
                                    {100, {4e-4, 2e-4, 2e-3, 8e-4, 1.5e-3, 1.2e-2}, 0.05},
                                    {1000, {4e-3, 3e-3, 1e-2, 3e-3, 5e-3, 1.2e-2}, 0.06}};

bool touches(const Pose &pose) { return pose.legs[0] || pose.legs[1]; }

// Flies until something touches the ground or the recording ends; the steps that it took.
std::size_t fly_in_the_air(const Recording &recording, Flight &flight) {
  double before = potential(state(flight.pose()));
  std::size_t step = 0;
  for (const Moment &moment : recording.moments) {
    if (touches(moment.pose) || recording.fate_after(step) != Fate::FLIES) break;
    flight.step(moment.thrust, moment.noise);
    const State ours = state(flight.pose()), theirs = state(moment.pose);
    const Tolerance *tolerance = TOLERANCES;
    while (step >= tolerance->until) ++tolerance;
    for (int i = 0; i < 6; ++i) {
      EXPECT_NEAR(ours[i], theirs[i], tolerance->most[i]) << recording.name << " step " << step << " number " << i;
    }
    EXPECT_EQ(flight.fate(), Fate::FLIES) << recording.name << " step " << step;
    EXPECT_FALSE(touches(flight.pose())) << recording.name << " step " << step;
    EXPECT_NEAR(reward(before, potential(ours), moment.thrust, flight.fate()), moment.reward, tolerance->reward)
        << recording.name << " step " << step;
    before = potential(ours);
    ++step;
  }
  return step;
}

TEST(Golden, FlightsStayTogetherInTheAir) {
  std::size_t compared = 0;
  for (const Recording &recording : recordings()) {
    Flight flight(Terrain(recording.heights), recording.push);
    compared += fly_in_the_air(recording, flight);
  }
  EXPECT_GE(compared, 650u);
}

TEST(Golden, FlightsEndAlike) {
  for (const Recording &recording : recordings()) {
    Flight flight(Terrain(recording.heights), recording.push);
    std::size_t step = 0;
    for (; step < recording.moments.size() && flight.fate() == Fate::FLIES; ++step)
      flight.step(recording.moments[step].thrust, recording.moments[step].noise);
    const Fate theirs = recording.fate_after(recording.moments.size() - 1);
    if (theirs == Fate::LOST) {
      EXPECT_EQ(step, recording.moments.size()) << recording.name;
    } else {  // the legs of 2.4 swing a little longer before the lander counts as at rest
      for (int more = 0; more < 60 && flight.fate() == Fate::FLIES; ++more) flight.step({}, {});
    }
    EXPECT_EQ(flight.fate(), theirs) << recording.name;
  }
}

}  // namespace
}  // namespace lander
