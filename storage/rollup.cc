#include "storage/rollup.h"
