// What a subgroup sums up: 4 x 4 matrices, each by its name: in an array, which a loop may walk, they could not be registers.
struct Sums {
    s00: Sum,
    s01: Sum,
    s02: Sum,
    s03: Sum,
    s10: Sum,
    s11: Sum,
    s12: Sum,
    s13: Sum,
    s20: Sum,
    s21: Sum,
    s22: Sum,
    s23: Sum,
    s30: Sum,
    s31: Sum,
    s32: Sum,
    s33: Sum,
}

// Each as the one that lies there.
fn sums_at(at: u32) -> Sums {
    let sum = sum_at(at);
    return Sums(
        sum, sum, sum, sum,
        sum, sum, sum, sum,
        sum, sum, sum, sum,
        sum, sum, sum, sum,
    );
}

// Adds the products of what begins at a row of the left and of the right, one matrix deep.
fn add_products(sums: ptr<function, Sums>, left_from: u32, right_from: u32) {
    let a0 = left_at(left_from);
    let a1 = left_at(left_from + MATRIX_ROWS * DISTANCE);
    let a2 = left_at(left_from + 2u * MATRIX_ROWS * DISTANCE);
    let a3 = left_at(left_from + 3u * MATRIX_ROWS * DISTANCE);
    let b0 = right_at(right_from);
    (*sums).s00 = with_product(a0, b0, (*sums).s00);
    (*sums).s10 = with_product(a1, b0, (*sums).s10);
    (*sums).s20 = with_product(a2, b0, (*sums).s20);
    (*sums).s30 = with_product(a3, b0, (*sums).s30);
    let b1 = right_at(right_from + MATRIX_COLUMNS * DISTANCE);
    (*sums).s01 = with_product(a0, b1, (*sums).s01);
    (*sums).s11 = with_product(a1, b1, (*sums).s11);
    (*sums).s21 = with_product(a2, b1, (*sums).s21);
    (*sums).s31 = with_product(a3, b1, (*sums).s31);
    let b2 = right_at(right_from + 2u * MATRIX_COLUMNS * DISTANCE);
    (*sums).s02 = with_product(a0, b2, (*sums).s02);
    (*sums).s12 = with_product(a1, b2, (*sums).s12);
    (*sums).s22 = with_product(a2, b2, (*sums).s22);
    (*sums).s32 = with_product(a3, b2, (*sums).s32);
    let b3 = right_at(right_from + 3u * MATRIX_COLUMNS * DISTANCE);
    (*sums).s03 = with_product(a0, b3, (*sums).s03);
    (*sums).s13 = with_product(a1, b3, (*sums).s13);
    (*sums).s23 = with_product(a2, b3, (*sums).s23);
    (*sums).s33 = with_product(a3, b3, (*sums).s33);
}

// Puts one of them, counted by rows, where all threads can read it.
fn put_one(sums: ptr<function, Sums>, which: u32, at: u32) {
    switch which {
        case 0u: {
            put((*sums).s00, at);
        }
        case 1u: {
            put((*sums).s01, at);
        }
        case 2u: {
            put((*sums).s02, at);
        }
        case 3u: {
            put((*sums).s03, at);
        }
        case 4u: {
            put((*sums).s10, at);
        }
        case 5u: {
            put((*sums).s11, at);
        }
        case 6u: {
            put((*sums).s12, at);
        }
        case 7u: {
            put((*sums).s13, at);
        }
        case 8u: {
            put((*sums).s20, at);
        }
        case 9u: {
            put((*sums).s21, at);
        }
        case 10u: {
            put((*sums).s22, at);
        }
        case 11u: {
            put((*sums).s23, at);
        }
        case 12u: {
            put((*sums).s30, at);
        }
        case 13u: {
            put((*sums).s31, at);
        }
        case 14u: {
            put((*sums).s32, at);
        }
        default: {
            put((*sums).s33, at);
        }
    }
}
