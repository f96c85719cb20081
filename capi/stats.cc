#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"

extern "C" int32_t fc_engine_stats(fc_engine* engine, fc_stat_cb callback, void* user_data) {
  engine->AssertThread();
  return fastcontainer::capi::Guard(nullptr, [&]() -> int32_t {
    if (callback == nullptr) return FC_E_INVALID;
    engine->engine->ForEachStat([&](const fastcontainer::Stat& stat) {
      fc_stat out{};
      out.struct_size = sizeof(out);
      out.kind = stat.counter ? FC_STAT_COUNTER : FC_STAT_GAUGE;
      out.name = fastcontainer::capi::ToC(stat.name);
      out.labels = fastcontainer::capi::ToC(stat.labels);
      out.help = fastcontainer::capi::ToC(stat.help);
      out.value = stat.value;
      callback(user_data, &out);
    });
    return FC_OK;
  });
}
