#include "machine/description.h"

#include <gtest/gtest.h>

#include "machine/memory.h"

namespace hypura {
namespace {

TEST(MachineDescription, SaysWhatTheMachineIs) {
  const MachineDescription machine = describe_machine();
  EXPECT_FALSE(machine.cpu.empty());
  EXPECT_GE(machine.cores, 1u);
  EXPECT_GE(machine.memory_bytes, available_bytes());
  EXPECT_NE(machine.system.find(' '), std::string::npos) << "a name and a release";
  EXPECT_GE(machine.load, 0);
}

}  // namespace
}  // namespace hypura
