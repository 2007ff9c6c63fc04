#include "base/thread_urgency.h"

#ifdef __APPLE__
#include <pthread.h>
#endif

namespace hypura {

void set_thread_urgency(ThreadUrgency urgency) {
#ifdef __APPLE__
  const qos_class_t quality = urgency == ThreadUrgency::waited_for ? QOS_CLASS_USER_INITIATED
                                                                   : QOS_CLASS_UTILITY;
  static_cast<void>(::pthread_set_qos_class_self_np(quality, 0));  // else it is as urgent as others
#else
  static_cast<void>(urgency);  // Linux asks nobody
#endif
}

}  // namespace hypura
