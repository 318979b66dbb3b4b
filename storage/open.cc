#include "storage/open.h"
