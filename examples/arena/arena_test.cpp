//! Tests of the rules, of the hall and of what counts: numbers by hand, and what must hold of any duel.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "arena.h"
#include "font.h"
#include "hall.h"
#include "meter.h"

namespace {

constexpr float FRAME = 1.0f / ARENA_RATE;

Duel duel_of(Disc player, Disc opponent) {
  Duel duel{};
  duel.discs[PLAYER] = player;
  duel.discs[OPPONENT] = opponent;
  duel.radius = 1;
  return duel;
}

Vector turned(Vector a, float angle) {
  return {a.x * std::cos(angle) - a.y * std::sin(angle), a.x * std::sin(angle) + a.y * std::cos(angle)};
}

TEST(Duel, AThrustByHand) {
  Duel duel = duel_of({{0, 0}, {0.6f, 0}, 0}, {{0.5f, 0.5f}, {0, 0}, 0});
  EXPECT_EQ(duel_step(&duel, {{0, 3}, 0}, {}), UNDECIDED);  // no thrust is longer than 1
  const Disc &disc = duel.discs[PLAYER];
  EXPECT_NEAR(disc.speed.x, 0.6 * (1 - 1.4 / 60), 1e-6);
  EXPECT_NEAR(disc.speed.y, 2.2 / 60 * (1 - 1.4 / 60), 1e-6);
  EXPECT_NEAR(disc.place.x, disc.speed.x / 60, 1e-6);
  EXPECT_NEAR(duel.discs[OPPONENT].speed.x, 0, 0);
}

TEST(Duel, ADashIsOneLeapAndThenRests) {
  Duel duel = duel_of({{-0.5f, 0}, {0, 0}, 0}, {{0.5f, 0.5f}, {0, 0}, 0});
  const Move dash{{0.01f, 0}, 1};
  duel_step(&duel, dash, {});
  const float once = duel.discs[PLAYER].speed.x;
  EXPECT_NEAR(once, 1.6 * (1 - 1.4 / 60), 1e-3);
  EXPECT_EQ(duel.discs[PLAYER].rest, ARENA_REST);
  duel_step(&duel, dash, {});
  EXPECT_LT(duel.discs[PLAYER].speed.x, once);
}

TEST(Duel, DiscsThatMeetHeadOnChangeSpeeds) {
  Duel duel = duel_of({{-0.08f, 0}, {1, 0}, 0}, {{0.08f, 0}, {-0.5f, 0}, 0});
  duel_step(&duel, {}, {});
  const float left = 1 - 1.4f * FRAME;
  EXPECT_NEAR(duel.discs[PLAYER].speed.x, -0.5f * left, 1e-6);
  EXPECT_NEAR(duel.discs[OPPONENT].speed.x, 1.0f * left, 1e-6);
  EXPECT_NEAR(duel.blow, 1.5f * left, 1e-6);
  EXPECT_NEAR(duel.discs[OPPONENT].place.x - duel.discs[PLAYER].place.x, 2 * ARENA_DISC, 1e-6);
}

TEST(Duel, AGlancingBlowLosesNothing) {
  Duel duel = duel_of({{-0.06f, -0.06f}, {1, 0.5f}, 0}, {{0.06f, 0.02f}, {-0.5f, 0.2f}, 0});
  duel_step(&duel, {}, {});
  const float left = 1 - 1.4f * FRAME;
  const Vector one = duel.discs[PLAYER].speed, other = duel.discs[OPPONENT].speed;
  EXPECT_GT(duel.blow, 0.5f);
  EXPECT_NEAR(one.x + other.x, 0.5f * left, 1e-6);
  EXPECT_NEAR(one.y + other.y, 0.7f * left, 1e-6);
  EXPECT_NEAR(one.x * one.x + one.y * one.y + other.x * other.x + other.y * other.y, 1.54f * left * left, 1e-5);
}

TEST(Duel, WhoIsOutHasLost) {
  Duel out = duel_of({{0.999f, 0}, {1, 0}, 0}, {{0, 0}, {0, 0}, 0});
  EXPECT_EQ(duel_step(&out, {}, {}), OPPONENT_WINS);
  Duel both = duel_of({{0.999f, 0}, {1, 0}, 0}, {{-0.999f, 0}, {-2, 0}, 0});
  EXPECT_EQ(duel_step(&both, {}, {}), PLAYER_WINS);  // who is further out
}

TEST(Duel, EndsByItselfInTenSeconds) {
  Duel duel = duel_of({{0.3f, 0}, {0, 0}, 0}, {{-0.1f, 0}, {0, 0}, 0});
  int frames = 1;
  while (duel_step(&duel, {}, {}) == UNDECIDED) ++frames;
  EXPECT_EQ(duel_step(&duel, {}, {}), OPPONENT_WINS);
  EXPECT_NEAR(frames * FRAME, 2 + 8 * 0.7, 2 * FRAME);  // the ring is 1 for 2 s, and nothing 8 s later
}

TEST(View, IsTheSameHoweverTheRingIsTurned) {
  const Disc player{{0.4f, 0.2f}, {0.3f, -0.7f}, 1}, opponent{{-0.3f, 0.1f}, {-0.2f, 0.4f}, 0.5f};
  const Duel duel = duel_of(player, opponent);
  const auto by = [](Disc disc) { return Disc{turned(disc.place, 2.1f), turned(disc.speed, 2.1f), disc.rest}; };
  const Duel other = duel_of(by(player), by(opponent));
  const View one = duel_view(&duel, OPPONENT), two = duel_view(&other, OPPONENT);
  for (int i = 0; i < ARENA_VIEW; ++i) EXPECT_NEAR(one.values[i], two.values[i], 1e-6) << i;
  for (int heading = 1; heading < ARENA_HEADINGS; ++heading) {
    const Vector a = turned(duel_move(&duel, OPPONENT, {heading, 0}).thrust, 2.1f);
    const Vector b = duel_move(&other, OPPONENT, {heading, 0}).thrust;
    EXPECT_NEAR(a.x, b.x, 1e-5);
    EXPECT_NEAR(a.y, b.y, 1e-5);
  }
}

TEST(View, ByHand) {
  const Duel duel = duel_of({{0, 0.5f}, {0, 1}, 2}, {{0, -0.25f}, {0.5f, 0}, 1});
  const View view = duel_view(&duel, OPPONENT);  // ahead is up
  const float expected[ARENA_VIEW] = {0.25f, 0, 0, -0.5f, 1, 0, 0.75f, 0.75f, 0.5f, 0.5f, 1, 1, 0};
  for (int i = 0; i < ARENA_VIEW; ++i) EXPECT_NEAR(view.values[i], expected[i], 1e-6) << i;
  const Move ahead = duel_move(&duel, OPPONENT, {1, 1}), left = duel_move(&duel, OPPONENT, {3, 0});
  EXPECT_NEAR(ahead.thrust.y, 1, 1e-6);
  EXPECT_EQ(ahead.dash, 1);
  EXPECT_NEAR(left.thrust.x, -1, 1e-6);
  EXPECT_FLOAT_EQ(duel_lead(&duel), 0.25f);
}

// The opponent's share of wins against the script.
template <class Play>
double share(Play play) {
  const auto hall = std::make_unique<Hall>();
  std::vector<View> views(HALL_DUELS);
  hall_open(hall.get(), 1);
  while (hall->frame < 60 * ARENA_RATE) {
    if (hall_asks(hall.get())) {
      std::vector<Choice> choices(hall_ask(hall.get(), views.data()));
      for (Choice &choice : choices) choice = play(hall->dice);
      hall_answer(hall.get(), choices.data());
    }
    hall_step(hall.get(), nullptr);
  }
  EXPECT_GT(hall->rounds, 1000);
  return static_cast<double>(hall->wins) / static_cast<double>(hall->rounds);
}

TEST(Hall, ChanceLosesToTheScript) {
  EXPECT_LT(share([](Dice &dice) {
    return Choice{static_cast<int32_t>((dice_uniform(&dice) + 1) / 2 * ARENA_HEADINGS), dice_uniform(&dice) > 0};
  }), 0.05);
}

TEST(Hall, ThereIsNoSimpleChoiceThatWins) {
  for (int heading = 0; heading < ARENA_HEADINGS; ++heading)
    EXPECT_LT(share([heading](Dice &) { return Choice{heading, 0}; }), 0.3) << heading;
}

TEST(Hall, TheScriptIsItsOwnEqual) {
  Dice dice{3};
  int won = 0;
  for (int round = 0; round < 2000; ++round) {
    Duel duel = duel_start(&dice);
    Result result = UNDECIDED;
    while (result == UNDECIDED)
      result = duel_step(&duel, duel_script(&duel, PLAYER, &dice), duel_script(&duel, OPPONENT, &dice));
    won += result == OPPONENT_WINS;
  }
  EXPECT_NEAR(won / 2000.0, 0.5, 0.04);
}

TEST(Hall, ShownDuelPausesAndTheOthersDoNot) {
  const auto hall = std::make_unique<Hall>();
  std::vector<View> views(HALL_DUELS);
  std::vector<Choice> choices(HALL_DUELS);
  hall_open(hall.get(), 2);
  const Move away{{1, 0}, 0};
  int paused = 0;
  while (hall->score[PLAYER] + hall->score[OPPONENT] < 2) {
    if (hall_asks(hall.get())) {
      const size_t count = hall_ask(hall.get(), views.data());
      EXPECT_GE(count, HALL_DUELS - 1u);
      hall_answer(hall.get(), choices.data());
    }
    hall_step(hall.get(), &away);
    paused += hall->results[HALL_SHOWN] != UNDECIDED;
    std::vector<float> rewards(HALL_DUELS);
    std::vector<int> ended(HALL_DUELS);
    hall_tell(hall.get(), rewards.data(), ended.data());
    for (size_t i = 0; i < hall->asked_count; ++i) EXPECT_GT(std::fabs(rewards[i]), ended[i] ? 0.4f : -1);
  }
  EXPECT_NEAR(paused, ARENA_RATE, ARENA_HOLD + 1);
}

TEST(Dice, AreEven) {
  Dice dice{5};
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double drawn = dice_uniform(&dice);
    ASSERT_GE(drawn, -1);
    ASSERT_LT(drawn, 1);
    sum += drawn, squares += drawn * drawn;
  }
  EXPECT_NEAR(sum / 100000, 0, 0.01);
  EXPECT_NEAR(squares / 100000, 1.0 / 3, 0.01);
}

TEST(Meter, CountsFrames) {
  const auto meter = std::make_unique<Meter>();
  for (int i = 0; i < 98; ++i) meter_frame(meter.get(), 1100);
  meter_frame(meter.get(), 16700);
  meter_frame(meter.get(), 250000);
  EXPECT_EQ(meter->bins[4], 98);
  EXPECT_EQ(meter->bins[METER_BINS - 1], 1);
  EXPECT_EQ(meter->late, 2);
  EXPECT_DOUBLE_EQ(meter_quantile(meter.get(), 0.5), 1.25);
  EXPECT_DOUBLE_EQ(meter_quantile(meter.get(), 0.99), 16.75);
  EXPECT_DOUBLE_EQ(meter_quantile(meter.get(), 1), 250);
}

TEST(Font, HasWhatIsWritten) {
  for (const char *letter = "BLUERDWINSCRIPTYOMANK0123456789.:%"; *letter; ++letter)
    EXPECT_NE(font_rows(*letter), nullptr) << *letter;
  EXPECT_EQ(font_rows('a'), font_rows('A'));
  EXPECT_EQ(font_rows(' '), nullptr);
  EXPECT_EQ(font_rows('I')[1], 4);  // ..#..
}

}  // namespace
