// Matrices that a subgroup holds together, by the names of browsers. In workgroup memory they lie by rows, the right ones turned.
alias Left = subgroup_matrix_left<ELEMENT, MATRIX_DEPTH, MATRIX_ROWS>;
alias Right = subgroup_matrix_right<ELEMENT, MATRIX_COLUMNS, MATRIX_DEPTH>;
alias Sum = subgroup_matrix_result<f32, MATRIX_COLUMNS, MATRIX_ROWS>;

fn left_at(at: u32) -> Left {
    return subgroupMatrixLoad<Left, row_major>(&left, at, DISTANCE);
}

fn right_at(at: u32) -> Right {
    return subgroupMatrixLoad<Right, col_major>(&right, at, DISTANCE);
}

fn sum_at(at: u32) -> Sum {
    return subgroupMatrixLoad<Sum, row_major>(&results, at, MATRIX_COLUMNS);
}

fn with_product(a: Left, b: Right, sum: Sum) -> Sum {
    return subgroupMatrixMultiplyAccumulate(a, b, sum);
}

fn put(sum: Sum, at: u32) {
    subgroupMatrixStore<row_major>(&results, at, sum, MATRIX_COLUMNS);
}
