#include "backend/gpu/host_memory.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>

#include "base/units.h"
#include "ggml-backend-impl.h"
#include "ggml-cpp.h"
#include "ggml-cpu.h"
#include "machine/memory.h"

namespace hypura {
namespace {

std::map<void*, size_t> g_locked;
bool g_locks = true;
bool g_pins = true;
int g_driver_buffers = 0;

bool lock(void* memory, size_t size) {
  if (g_locks) g_locked.emplace(memory, size);
  return g_locks;
}
void unlock(void* memory) { g_locked.erase(memory); }
void* function(ggml_backend_reg_t, const char* name) {
  if (std::strcmp(name, "ggml_backend_register_host_buffer") == 0) {
    return reinterpret_cast<void*>(lock);
  }
  return reinterpret_cast<void*>(unlock);
}

// Of the driver; more than a gigabyte it does not have.
ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t, size_t size) {
  if (size > kGiB) return nullptr;
  ++g_driver_buffers;
  return ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
}
ggml_backend_buffer_type g_driver_type{.iface = {.alloc_buffer = allocate}};

void properties(ggml_backend_dev_t, ggml_backend_dev_props* props) {
  *props = {};
  props->caps.host_buffer = g_pins;
}

// A GPU of which only what locks and has RAM is there.
class HostMemoryTest : public testing::Test {
 protected:
  HostMemoryTest() {
    g_locks = g_pins = true;
    g_driver_buffers = 0;
    registry_.iface.get_proc_address = function;
    gpu_.iface.get_props = properties;
    gpu_.iface.get_host_buffer_type = [](ggml_backend_dev_t) { return &g_driver_type; };
    gpu_.reg = &registry_;
  }
  ggml_backend_buffer_ptr buffer(size_t size) {
    return ggml_backend_buffer_ptr(ggml_backend_buft_alloc_buffer(type(), size));
  }
  ggml_backend_buffer_type_t type() { return gpu_host_buffer_type(&gpu_); }

  ggml_backend_reg registry_{};
  ggml_backend_device gpu_{};
};

TEST_F(HostMemoryTest, IsLockedUntilItIsFreed) {
  constexpr size_t kSize = 3 * kMiB;
  ggml_backend_buffer_ptr first = buffer(kSize);
  ggml_backend_buffer_ptr second = buffer(kSize);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  void* address = ggml_backend_buffer_get_base(first.get());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(address) % (2 * kMiB), 0u) << "a huge page";
  EXPECT_TRUE(ggml_backend_buffer_is_host(first.get()));
  EXPECT_EQ(ggml_backend_buffer_get_type(first.get()), type());
  EXPECT_EQ(ggml_backend_buffer_get_size(first.get()), kSize);
  ggml_backend_buffer_clear(first.get(), 7);
  EXPECT_EQ(static_cast<uint8_t*>(address)[kSize - 1], 7);
  ASSERT_EQ(g_locked.size(), 2u);
  EXPECT_GE(g_locked[address], kSize);
  first.reset();
  EXPECT_EQ(g_locked.size(), 1u);
  EXPECT_FALSE(g_locked.contains(address));
  second.reset();
  EXPECT_TRUE(g_locked.empty());
  EXPECT_EQ(g_driver_buffers, 0);
}

TEST_F(HostMemoryTest, IsTheDriversWhereItRefusesTheLock) {
  g_locks = false;
  ggml_backend_buffer_ptr memory = buffer(kMiB);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(g_driver_buffers, 1);
}

TEST_F(HostMemoryTest, MoreThanThereIsIsForTheDriverToRefuse) {
  EXPECT_EQ(buffer(available_bytes() + kGiB), nullptr);
  EXPECT_TRUE(g_locked.empty());
}

TEST_F(HostMemoryTest, IsLlamasWhereNothingLocks) {
  g_pins = false;
  EXPECT_EQ(type(), ggml_backend_cpu_buffer_type());
  g_pins = true;
  registry_.iface.get_proc_address = nullptr;
  EXPECT_EQ(type(), ggml_backend_cpu_buffer_type());
}

}  // namespace
}  // namespace hypura
