// Every exported function with one wrong argument at a time: wrong handles, NULL pointers, lengths that cannot be, text
// that is not UTF-8, JSON that breaks off. What is wrong is named in the message, and no out-parameter is written.
#include <gtest/gtest.h>

#include <array>

#include "functions.hpp"
#include "world.hpp"

namespace {

constexpr uint64_t UNTOUCHED = 0x5a5a5a5a5a5a5a5a;

// Valid arguments for every function; what a test wants wrong, it replaces.
class Arguments {
 public:
  Arguments() {
    batch = make_prompts(world.runtime, {"a b", "c"});
    const std::string path = "no/such/file";
    EXPECT_EQ(keel_session_save(world.session, path.data(), path.size(), &job, nullptr), KEEL_OK);
    EXPECT_EQ(keel_session_export(world.session, &blob, nullptr), KEEL_OK);
    control = make_control_session(world.runtime);
    EXPECT_EQ(keel_actor_create(control, nullptr, 0, &actor, nullptr), KEEL_OK);
  }
  ~Arguments() {
    keel_batch_destroy(batch);
    keel_job_destroy(job);
    keel_blob_destroy(blob);
    keel_actor_destroy(actor);
    keel_session_destroy(control);
  }

  uint64_t handle(const std::string &noun) const {
    if (noun == "runtime") return world.runtime;
    if (noun == "model") return world.model;
    if (noun == "session") return world.session;
    if (noun == "batch") return batch;
    if (noun == "job") return job;
    if (noun == "actor") return actor;
    return blob;
  }

  std::vector<uint64_t> of(const Function &function) {
    std::vector<uint64_t> values;
    for (const Parameter &one : function.parameters) values.push_back(value(one));
    if (function.name == "keel_actor_create" || function.name == "keel_session_layout") values[0] = control;
    for (auto &room : out) room = UNTOUCHED;
    report = KEEL_REPORT_INIT;
    caught = Caught();
    return values;
  }

  bool untouched() const {
    for (const uint64_t room : out) {
      if (room != UNTOUCHED) return false;
    }
    return true;
  }

  World world;
  keel_batch batch = 0;
  keel_job job = 0;
  keel_blob blob = 0;
  keel_session control = 0;
  keel_actor actor = 0;
  Caught caught;
  keel_report report = KEEL_REPORT_INIT;

 private:
  uint64_t value(const Parameter &one) {
    if (one.handle()) return handle(one.noun());
    if (one.error()) return from(&caught.error);
    if (one.type == "keel_report *") return from(&report);
    if (one.name == "header_abi") return KEEL_ABI_VERSION;
    if (one.name == "kind" && one.text()) return from("load");
    if (one.name == "kind_length") return 4;
    if (one.name == "kind" || one.name == "role") return 1;
    if (one.name == "json" || one.name == "json_length") return 0;
    if (one.name == "column") return from("prompt");
    if (one.name == "column_length") return 6;
    if (one.name == "path" || one.name == "text") return from("a b");
    if (one.name == "path_length" || one.name == "text_length") return 3;
    if (one.name == "name" || one.name == "name_length") return 0;
    if (one.name == "rows" && !one.pointer()) return 2;
    if (one.name == "type" && !one.pointer()) return KEEL_TYPE_I32;
    if (one.name == "type") return from(&type);
    if (one.name == "needed") return from(&needed);
    if (one.name == "offsets" && one.type == "const uint64_t *") return 0;
    if (one.name == "tensor" && one.type.find("**") != std::string::npos) return from(out.data());
    if (one.type == "DLManagedTensorVersioned *const *") return from(no_tensors.data());
    if (one.type == "DLManagedTensorVersioned *" || one.function() || one.name == "user_data" || one.name == "stream") return 0;
    if (one.pointer() && one.constant()) return from(numbers.data());
    if (one.name == "count" || one.name == "ids_count" || one.name == "rewards_count" || one.name == "size" || one.name == "action_bytes") return 2;
    if (one.name == "capacity") return sizeof(out);
    if (one.pointer()) return from(out.data());
    return 0;
  }

  std::array<uint64_t, 512> out{};
  std::array<uint64_t, 8> numbers{};
  const std::array<const void *, 8> no_tensors{};
  int32_t type = 0;
  size_t needed = 0;
};

// The parameter whose text has this length parameter.
const Parameter *text_before(const Function &function, size_t index) {
  const Parameter &one = function.parameters[index];
  if (index == 0 || one.type != "size_t") return nullptr;
  const Parameter &before = function.parameters[index - 1];
  return before.pointer() && before.constant() ? &before : nullptr;
}

void expect_fault(Arguments &arguments, const Function &function, const std::vector<uint64_t> &values,
                  keel_status expected, const std::string &named) {
  SCOPED_TRACE(function.name + ", " + named + " is wrong");
  const keel_status status = function.call(values.data());
  EXPECT_STREQ(keel_status_name(status), keel_status_name(expected)) << arguments.caught.message();
  EXPECT_EQ(arguments.caught.error.status, status);
  EXPECT_EQ(arguments.caught.message().rfind(named + ":", 0), 0u) << arguments.caught.message();
  EXPECT_TRUE(arguments.untouched());
}

}  // namespace

TEST(Misuse, WrongHandlesAreRefusedBySentence) {
  Arguments arguments;
  keel_batch destroyed = make_prompts(arguments.world.runtime, {"a"});
  keel_batch_destroy(destroyed);
  size_t tried = 0;
  for (const Function &function : functions()) {
    for (size_t index = 0; index < function.parameters.size(); ++index) {
      const Parameter &one = function.parameters[index];
      if (!one.handle() || !function.fallible) continue;
      const uint64_t other = arguments.handle(one.noun() == "blob" ? "model" : "blob");
      for (const uint64_t wrong :
           {uint64_t{0}, destroyed, other, (uint64_t{1} << 53) - 1, UINT64_MAX, uint64_t{12345}}) {
        std::vector<uint64_t> values = arguments.of(function);
        values[index] = wrong;
        expect_fault(arguments, function, values, KEEL_E_INVALID_HANDLE, one.name);
        ++tried;
      }
    }
  }
  EXPECT_GE(tried, 6u * 45u);
}

TEST(Misuse, DestroyTakesAnyNumberAndTouchesNothing) {
  Arguments arguments;
  const uint64_t alive = keel_live_handles();
  size_t tried = 0;
  for (const Function &function : functions()) {
    if (!function.destroys()) continue;
    const std::string noun = function.parameters[0].noun();
    for (const uint64_t wrong :
         {uint64_t{0}, arguments.handle(noun == "blob" ? "model" : "blob"), UINT64_MAX, uint64_t{12345}}) {
      function.call(&wrong);
      EXPECT_EQ(keel_live_handles(), alive) << function.name;
      ++tried;
    }
  }
  EXPECT_GE(tried, 6u * 4u);
}

TEST(Misuse, NullPointersAreRefusedUnlessTheDocSaysNullable) {
  Arguments arguments;
  size_t tried = 0;
  for (const Function &function : functions()) {
    for (size_t index = 0; index < function.parameters.size(); ++index) {
      const Parameter &one = function.parameters[index];
      if (!one.pointer() || one.nullable || !function.fallible || one.name == "buffer" || one.name == "tokens")
        continue;
      std::vector<uint64_t> values = arguments.of(function);
      values[index] = 0;
      const bool counted = index + 1 < values.size() && text_before(function, index + 1) == &one;
      if (counted) values[index + 1] = 3;
      if (one.constant() && !counted) continue;
      if (one.error() || one.name == "user_data" || one.name == "stream") continue;
      expect_fault(arguments, function, values, KEEL_E_NULL_POINTER, one.name);
      ++tried;
    }
  }
  EXPECT_GE(tried, 44u);
}

TEST(Misuse, LengthsThatCannotBeAreRefused) {
  Arguments arguments;
  size_t tried = 0;
  for (const Function &function : functions()) {
    for (size_t index = 0; index < function.parameters.size(); ++index) {
      const Parameter *text = text_before(function, index);
      if (text == nullptr || text->name == "values") continue;
      std::vector<uint64_t> values = arguments.of(function);
      if (values[index - 1] == 0) values[index - 1] = from("a");
      values[index] = UINT64_MAX;
      expect_fault(arguments, function, values, KEEL_E_INVALID_ARGUMENT, text->name);
      ++tried;
    }
  }
  EXPECT_GE(tried, 15u);
}

TEST(Misuse, TextThatIsNotUtf8IsRefused) {
  Arguments arguments;
  size_t tried = 0;
  for (const Function &function : functions()) {
    for (size_t index = 0; index < function.parameters.size(); ++index) {
      if (!function.parameters[index].text()) continue;
      const std::string named = function.parameters[index].name;
      std::vector<uint64_t> values = arguments.of(function);
      values[index] = from("a\xff\xfe");
      values[index + 1] = 3;
      SCOPED_TRACE(function.name);
      if (named == "json") {
        EXPECT_EQ(function.call(values.data()), KEEL_E_CONFIG) << arguments.caught.message();
        EXPECT_TRUE(arguments.untouched());
      } else {
        expect_fault(arguments, function, values, KEEL_E_INVALID_TEXT, named);
      }
      ++tried;
    }
  }
  EXPECT_GE(tried, 15u);
}

TEST(Misuse, JsonThatIsWrongIsRefused) {
  Arguments arguments;
  size_t tried = 0;
  for (const Function &function : functions()) {
    for (size_t index = 0; index < function.parameters.size(); ++index) {
      if (function.parameters[index].name != "json") continue;
      for (const std::string wrong :
           {"{\"", "{", "[1]", "nul", "{\"no_such_key\": 1}", "{\"a\": 1, \"a\": 2}", "{} {}", "1e999"}) {
        std::vector<uint64_t> values = arguments.of(function);
        values[index] = from(wrong.data());
        values[index + 1] = wrong.size();
        SCOPED_TRACE(function.name + " with " + wrong);
        EXPECT_EQ(function.call(values.data()), KEEL_E_CONFIG) << arguments.caught.message();
        EXPECT_FALSE(arguments.caught.message().empty());
        EXPECT_TRUE(arguments.untouched());
        ++tried;
      }
    }
  }
  EXPECT_GE(tried, 5u * 8u);
}

TEST(Misuse, EveryFunctionTakesNullForItsError) {
  Arguments arguments;
  size_t tried = 0;
  for (const Function &function : functions()) {
    if (!function.fallible) continue;
    std::vector<uint64_t> values(function.parameters.size(), 0);
    EXPECT_LT(function.call(values.data()), 0) << function.name;
    ++tried;
  }
  EXPECT_GE(tried, 48u);
}

TEST(Misuse, TextsOutAskForRoomAndWriteNothingBeforeTheyHaveIt) {
  Arguments arguments;
  size_t tried = 0;
  for (const Function &function : functions()) {
    for (size_t index = 0; index + 2 < function.parameters.size(); ++index) {
      if (function.parameters[index].name != "buffer" || function.name == "keel_runtime_next_event") continue;
      SCOPED_TRACE(function.name);
      std::vector<uint64_t> values = arguments.of(function);
      size_t needed = 0;
      values[index] = 0;
      values[index + 1] = 1;
      expect_fault(arguments, function, values, KEEL_E_NULL_POINTER, "buffer");
      values[index + 1] = 0;
      values[index + 2] = from(&needed);
      expect_fault(arguments, function, values, KEEL_E_CAPACITY, "buffer");
      ASSERT_GT(needed, 1u);
      std::string room(needed + 1, '#');
      values[index] = from(room.data());
      values[index + 1] = needed - 1;
      expect_fault(arguments, function, values, KEEL_E_CAPACITY, "buffer");
      EXPECT_EQ(room, std::string(needed + 1, '#'));
      values[index + 1] = needed;
      EXPECT_EQ(function.call(values.data()), KEEL_OK) << arguments.caught.message();
      EXPECT_NE(room[needed - 1], '#');
      EXPECT_EQ(room[needed], '#') << "a NUL beyond the room";
      values[index + 1] = needed + 1;
      EXPECT_EQ(function.call(values.data()), KEEL_OK);
      EXPECT_EQ(room[needed], '\0');
      ++tried;
    }
  }
  EXPECT_GE(tried, 8u);
}
