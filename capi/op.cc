#include "capi/guard.h"
#include "capi/handle.h"

extern "C" int32_t fc_op_complete(fc_engine* engine, fc_op op, const fc_result* result) {
  return fastcontainer::capi::Guard(nullptr, [&] { return engine->ops.Complete(op, result); });
}
