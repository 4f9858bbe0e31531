//! Tests of what the golden flights cannot show: the terrain, the actions' edges, the limit of steps, chance, the picture.
#include <gtest/gtest.h>

#include <cmath>

#include "episode.hpp"
#include "picture.hpp"
#include "png.hpp"

namespace lander {
namespace {

TEST(Rules, TerrainIsSmoothedAndFlatAtThePad) {
  const Terrain terrain({1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 6});
  EXPECT_DOUBLE_EQ(terrain.x[0], 0);
  EXPECT_DOUBLE_EQ(terrain.x[10], 20);
  EXPECT_NEAR(terrain.y[0], 0.33 * (6 + 1 + 2), 1e-12);
  EXPECT_NEAR(terrain.y[1], 0.33 * (1 + 2 + 3), 1e-12);
  EXPECT_NEAR(terrain.y[2], 0.33 * (2 + 3 + 10.0 / 3), 1e-12);
  for (int i = 4; i <= 6; ++i) EXPECT_NEAR(terrain.y[i], 3.3, 1e-12);
  EXPECT_NEAR(terrain.y[10], 0.33 * (2 + 1 + 6), 1e-12);
  EXPECT_DOUBLE_EQ(terrain.pad_left, 8);
  EXPECT_DOUBLE_EQ(terrain.pad_right, 12);
}

TEST(Rules, EnginesBurnFromHalfPowerOn) {
  const auto expect = [](Throttle throttle, double main, double side, double direction) {
    const Thrust burnt = thrust(throttle);
    EXPECT_DOUBLE_EQ(burnt.main, main);
    EXPECT_DOUBLE_EQ(burnt.side, side);
    EXPECT_DOUBLE_EQ(burnt.direction, direction);
  };
  expect({0, 0.5f}, 0, 0, 0);
  expect({0.5f, 0.75f}, 0.75, 0.75, 1);
  expect({7, -7}, 1, 1, -1);
  expect({-7, -0.625f}, 0, 0.625, -1);
  EXPECT_DOUBLE_EQ(thrust(std::int32_t{1}).direction, -1);
  EXPECT_DOUBLE_EQ(thrust(std::int32_t{2}).main, 1);
  EXPECT_DOUBLE_EQ(thrust(std::int32_t{3}).direction, 1);
  EXPECT_DOUBLE_EQ(thrust(std::int32_t{0}).side, 0);
}

TEST(Rules, RewardByHand) {
  const Pose high{15, 10, 3, -4, -0.5f, 1, {false, true}};
  const State seen = state(high);
  EXPECT_NEAR(seen[0], 0.5, 1e-12);
  EXPECT_NEAR(seen[1], (10 - 10.0 / 3 - 0.6) / (20.0 / 3), 1e-12);
  EXPECT_NEAR(seen[2], 0.6, 1e-12);
  EXPECT_NEAR(seen[3], -4.0 * (20.0 / 3) / 50, 1e-12);
  EXPECT_NEAR(seen[5], 0.4, 1e-12);
  EXPECT_NEAR(potential({0.3, 0.4, 0.6, -0.8, -0.5, 9, 0, 1}), -50 - 100 - 50 + 10, 1e-12);
  EXPECT_NEAR(reward(-20, -15, {1, 0, 0}, Fate::FLIES), 4.7, 1e-12);
  EXPECT_NEAR(reward(-20, -15, {0.5, 0.75, 1}, Fate::FLIES), 5 - 0.15 - 0.0225, 1e-12);
  EXPECT_EQ(reward(-20, -15, {1, 0, 0}, Fate::LOST), -100);
  EXPECT_EQ(reward(-20, -15, {1, 0, 0}, Fate::RESTS), 100);
}

// Keeps its height and its angle, and so never lands.
Thrust hover(const Observation &seen) {
  const float *const now = seen.values.data();
  const float lean = 0.5f * now[0] + now[2], twist = 0.5f * (lean - now[4]) - now[5];
  return thrust(Throttle{20 * (0.8f - now[1] - 2 * now[3]), -20 * twist});
}

TEST(Episode, IsCutAfterAThousandSteps) {
  Dice dice(1);
  Episode episode(dice);
  double total = 0;
  while (!episode.over()) {
    EXPECT_FALSE(episode.cut());
    total += episode.step(hover(episode.seen()));
  }
  EXPECT_EQ(episode.steps(), 1000);
  EXPECT_EQ(episode.fate(), Fate::FLIES);
  EXPECT_TRUE(episode.cut());
  EXPECT_DOUBLE_EQ(episode.total(), total);
}

TEST(Episode, FallsAndIsLost) {
  Dice dice(2);
  Episode episode(dice);
  while (!episode.over()) episode.step({});
  EXPECT_EQ(episode.fate(), Fate::LOST);
  EXPECT_FALSE(episode.cut());
  EXPECT_LT(episode.steps(), 200);
}

TEST(Episode, IsTheSameForTheSameDice) {
  const auto fly = [](std::uint64_t seed) {
    Dice dice(seed);
    Episode episode(dice);
    for (int step = 0; step < 60; ++step) episode.step(thrust(step % 4));
    return episode.seen().values;
  };
  EXPECT_EQ(fly(3), fly(3));
  EXPECT_NE(fly(3), fly(4));
}

TEST(Dice, AreEven) {
  Dice dice(5);
  double sum = 0, squares = 0;
  constexpr int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double drawn = dice.uniform(-1, 1);
    ASSERT_GE(drawn, -1);
    ASSERT_LT(drawn, 1);
    sum += drawn, squares += drawn * drawn;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.01);
}

TEST(Canvas, CoversHalvesOfPixelsByHalf) {
  Canvas canvas(4, 3);
  canvas.fill({{1, 0}, {2.5, 0}, {2.5, 2}, {1, 2}}, Colour{1, 1, 1});
  EXPECT_FLOAT_EQ(canvas.at(0, 0).red, 0);
  EXPECT_FLOAT_EQ(canvas.at(1, 1).red, 1);
  EXPECT_FLOAT_EQ(canvas.at(2, 1).green, 0.5);
  EXPECT_FLOAT_EQ(canvas.at(1, 2).blue, 0);
}

TEST(Picture, ShowsTheFlight) {
  Dice dice(6);
  Episode episode(dice);
  Film film{episode.terrain(), {}};
  while (!episode.over()) {
    const Thrust burnt = hover(episode.seen());
    episode.step(burnt);
    const Pose pose = episode.flight().pose();
    film.frames.push_back({{pose.x, pose.y}, pose.angle, {episode.flight().leg(0), episode.flight().leg(1)}, burnt});
    if (episode.steps() == 120) break;
  }
  const Film still{film.terrain, {film.frames.front()}};
  const Canvas flown = draw(film), stood = draw(still);
  int different = 0;
  for (int y = 0; y < flown.height(); ++y)
    for (int x = 0; x < flown.width(); ++x) different += flown.at(x, y).red != stood.at(x, y).red;
  EXPECT_GT(different, 2000);
  EXPECT_LT(different, flown.width() * flown.height() / 3);
}

}  // namespace
}  // namespace lander
