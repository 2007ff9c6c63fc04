#include "backend/gpu/queue.h"

namespace hypura {

GpuQueue::GpuQueue(ggml_backend_dev_t gpu, size_t events) {
  for (size_t i = 0; i < events; ++i) {
    events_.emplace_back(ggml_backend_event_new(gpu));
    if (events_.back() == nullptr) return;
  }
  queue_.reset(ggml_backend_dev_init(gpu, nullptr));
}

GpuQueue::~GpuQueue() {
  if (queue_ != nullptr) ggml_backend_synchronize(queue_.get());
}

void GpuQueue::mark_computed(size_t event, ggml_backend_t compute) {
  if (queue_ != nullptr) ggml_backend_event_record(events_[event].get(), compute);
}

void GpuQueue::copy_after(size_t event) {
  if (queue_ != nullptr) ggml_backend_event_wait(queue_.get(), events_[event].get());
}

void GpuQueue::mark_copied(size_t event) {
  if (queue_ != nullptr) ggml_backend_event_record(events_[event].get(), queue_.get());
}

void GpuQueue::compute_after(size_t event, ggml_backend_t compute) {
  if (queue_ != nullptr) ggml_backend_event_wait(compute, events_[event].get());
}

void GpuQueue::recycle() {
  if (queue_ == nullptr) return;
  for (const ggml_backend_event_ptr& event : events_) ggml_backend_event_synchronize(event.get());
}

}  // namespace hypura
