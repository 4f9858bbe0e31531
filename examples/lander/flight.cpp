#include "flight.hpp"

#include <box2d/box2d.h>

#include <cmath>

namespace lander {
namespace {

constexpr double MAIN_POWER = 13, SIDE_POWER = 0.6;
constexpr int VELOCITY_ITERATIONS = 180, POSITION_ITERATIONS = 60;
constexpr std::uint16_t GROUND = 0x0001, LANDER = 0x0010, LEG = 0x0020;
constexpr double LEG_HALF_WIDTH = 2 * PIXEL, LEG_HALF_LENGTH = 8 * PIXEL;

b2Vec2 vector(double x, double y) { return {static_cast<float>(x), static_cast<float>(y)}; }

void build_moon(b2World &world, const Terrain &terrain) {
  b2BodyDef place;
  b2Body *moon = world.CreateBody(&place);
  b2EdgeShape edge;
  edge.SetTwoSided(vector(0, 0), vector(WIDTH, 0));
  moon->CreateFixture(&edge, 0);
  for (int i = 0; i + 1 < Terrain::POINTS; ++i) {
    edge.SetTwoSided(vector(terrain.x[i], terrain.y[i]), vector(terrain.x[i + 1], terrain.y[i + 1]));
    b2FixtureDef slope;
    slope.shape = &edge;
    slope.friction = 0.1f;
    moon->CreateFixture(&slope);
  }
}

b2Body *build_lander(b2World &world) {
  b2BodyDef place;
  place.type = b2_dynamicBody;
  place.position = vector(WIDTH / 2, HEIGHT);
  b2Body *body = world.CreateBody(&place);
  b2Vec2 corners[HULL.size()];
  for (std::size_t i = 0; i < HULL.size(); ++i) corners[i] = vector(HULL[i].x * PIXEL, HULL[i].y * PIXEL);
  b2PolygonShape outline;
  outline.Set(corners, static_cast<int>(HULL.size()));
  b2FixtureDef hull;
  hull.shape = &outline;
  hull.density = 5;
  hull.friction = 0.1f;
  hull.filter.categoryBits = LANDER;
  hull.filter.maskBits = GROUND;
  body->CreateFixture(&hull);
  return body;
}

// `side` is -1 or 1. The joint's motor presses the leg to one end of the half radian that it may travel: a spring.
b2Body *build_leg(b2World &world, b2Body *lander, int side) {
  constexpr double away = 20 * PIXEL, down = 18 * PIXEL, most = 0.9, travel = 0.5;
  b2BodyDef place;
  place.type = b2_dynamicBody;
  place.position = vector(WIDTH / 2 - side * away, HEIGHT);
  place.angle = static_cast<float>(side * 0.05);
  b2Body *leg = world.CreateBody(&place);
  b2PolygonShape box;
  box.SetAsBox(static_cast<float>(LEG_HALF_WIDTH), static_cast<float>(LEG_HALF_LENGTH));
  b2FixtureDef strut;
  strut.shape = &box;
  strut.density = 1;
  strut.filter.categoryBits = LEG;
  strut.filter.maskBits = GROUND;
  leg->CreateFixture(&strut);

  b2RevoluteJointDef hinge;
  hinge.bodyA = lander;
  hinge.bodyB = leg;
  hinge.referenceAngle = leg->GetAngle();
  hinge.localAnchorA.SetZero();
  hinge.localAnchorB = vector(side * away, down);
  hinge.enableMotor = true;
  hinge.enableLimit = true;
  hinge.maxMotorTorque = 40;
  hinge.motorSpeed = static_cast<float>(0.3 * side);
  hinge.lowerAngle = static_cast<float>(side < 0 ? most - travel : -most);
  hinge.upperAngle = static_cast<float>(side < 0 ? most : -most + travel);
  world.CreateJoint(&hinge);
  return leg;
}

}  // namespace

// Hears of contacts, so it stays where Box2D knows it.
struct Flight::World final : b2ContactListener {
  World(const Terrain &terrain, Point push) : world(b2Vec2(0, -10)) {
    world.SetContactListener(this);
    build_moon(world, terrain);
    lander = build_lander(world);
    lander->ApplyForceToCenter(vector(push.x, push.y), true);
    legs = {build_leg(world, lander, -1), build_leg(world, lander, 1)};
  }

  void BeginContact(b2Contact *contact) override {
    crashed = crashed || touches(contact, lander);
    for (int i = 0; i < 2; ++i) standing[i] = standing[i] || touches(contact, legs[i]);
  }
  // A leg that leaves one slope for the next counts as lifted until it touches again, as in the original.
  void EndContact(b2Contact *contact) override {
    for (int i = 0; i < 2; ++i) standing[i] = standing[i] && !touches(contact, legs[i]);
  }
  static bool touches(b2Contact *contact, const b2Body *body) {
    return contact->GetFixtureA()->GetBody() == body || contact->GetFixtureB()->GetBody() == body;
  }

  void push_at(Point flame, double power, Point offset) {
    const b2Vec2 at = vector(lander->GetPosition().x + offset.x, lander->GetPosition().y + offset.y);
    lander->ApplyLinearImpulse(vector(-flame.x * power, -flame.y * power), at, true);
  }
  void burn(const Thrust &thrust, Point noise);

  b2World world;
  b2Body *lander = nullptr;
  std::array<b2Body *, 2> legs{};
  std::array<bool, 2> standing{};
  bool crashed = false;
};

// The impulses are as large as the flames are long, so the noise strays both where they push and how hard. The height at which
// a side engine pushes depends on the lean (17 pixels and 14): the original's slip, kept.
void Flight::World::burn(const Thrust &thrust, Point noise) {
  const double sine = std::sin(static_cast<double>(lander->GetAngle()));
  const double cosine = std::cos(static_cast<double>(lander->GetAngle()));
  const Point stray{noise.x * PIXEL, noise.y * PIXEL};
  if (thrust.main > 0) {
    const double down = 4 * PIXEL + 2 * stray.x;
    const Point flame{sine * down - cosine * stray.y, -cosine * down - sine * stray.y};
    push_at(flame, MAIN_POWER * thrust.main, flame);
  }
  if (thrust.side > 0) {
    const double out = 3 * stray.y + thrust.direction * 12 * PIXEL;
    const Point flame{sine * stray.x - cosine * out, -cosine * stray.x - sine * out};
    push_at(flame, SIDE_POWER * thrust.side, {flame.x - sine * 17 * PIXEL, flame.y + cosine * 14 * PIXEL});
  }
}

Flight::Flight(const Terrain &terrain, Point push) : world_(std::make_unique<World>(terrain, push)) { step({}, {}); }
Flight::~Flight() = default;
Flight::Flight(Flight &&) noexcept = default;
Flight &Flight::operator=(Flight &&) noexcept = default;

void Flight::step(const Thrust &thrust, Point noise) {
  world_->burn(thrust, noise);
  world_->world.Step(1.0f / FRAMES_PER_SECOND, VELOCITY_ITERATIONS, POSITION_ITERATIONS);
}

Pose Flight::pose() const {
  const b2Body *lander = world_->lander;
  const b2Vec2 place = lander->GetPosition(), speed = lander->GetLinearVelocity();
  return {place.x, place.y, speed.x, speed.y, lander->GetAngle(), lander->GetAngularVelocity(), world_->standing};
}

Fate Flight::fate() const {
  if (!world_->lander->IsAwake()) return Fate::RESTS;
  return world_->crashed || std::abs(state(pose())[0]) >= 1 ? Fate::LOST : Fate::FLIES;
}

std::array<Point, 2> Flight::leg(int side) const {
  const b2Vec2 top = world_->legs[side]->GetWorldPoint(vector(0, LEG_HALF_LENGTH));
  const b2Vec2 foot = world_->legs[side]->GetWorldPoint(vector(0, -LEG_HALF_LENGTH));
  return {Point{top.x, top.y}, Point{foot.x, foot.y}};
}

}  // namespace lander
