// Whole hosts: in C99, in C++ without exceptions, in C++ with them. Each leaves no handle behind.
#include <gtest/gtest.h>

#include "world.hpp"

extern "C" void host_in_c(const char *model_json, char *said, size_t room);
std::string hpp_returning(const std::string &model_json);
std::string hpp_throwing(const std::string &model_json);

class Host : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(keel_live_handles(), before_); }
  const uint64_t before_ = keel_live_handles();
};

TEST_F(Host, InC99) {
  char said[2048] = "";
  host_in_c(tiny_model().c_str(), said, sizeof said);
  EXPECT_STREQ(said, "");
}

TEST_F(Host, InCxxWithoutExceptions) { EXPECT_EQ(hpp_returning(tiny_model()), ""); }

TEST_F(Host, InCxxWithExceptions) { EXPECT_EQ(hpp_throwing(tiny_model()), ""); }
