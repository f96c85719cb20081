#include <fastcontainer.h>
#include <stdio.h>

int main(void) {
  fc_prober* prober = NULL;
  fc_error error = FC_ERROR_INIT;
  const int32_t code = fc_prober_create(&prober, NULL, &error);
  if (code != FC_OK) printf("%s\n", error.message);
  fc_prober_destroy(prober);
  return code == FC_OK || code == FC_E_PERMISSION ? 0 : 1;
}
